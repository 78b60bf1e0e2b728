package dev.graft.cpu.onednn;

import dev.graft.common.NativeLibraryCache;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import org.jspecify.annotations.Nullable;

/** Finds, unpacks and loads the oneDNN of this platform from the class path ({@code org.bytedeco:dnnl}, any version 3). */
final class OneDnnLibrary {
    private static final String RESOURCES = "/org/bytedeco/dnnl/";
    private static final String VERSION_RESOURCE = "/META-INF/maven/org.bytedeco/dnnl/pom.properties";

    private static @Nullable SymbolLookup loaded;

    private OneDnnLibrary() {}

    /**
     * Loads the library; the second time does nothing. A failure is not remembered.
     *
     * @throws IOException if there is none for this platform or it cannot be unpacked
     * @throws IllegalArgumentException if the system cannot load it
     */
    static synchronized SymbolLookup load() throws IOException {
        if (loaded == null) {
            Platform platform = Platform.current();
            List<Path> files = NativeLibraryCache.unpack(
                    RESOURCES + platform.name + "/", platform.files, "dnnl-" + version() + "-" + platform.name);
            // never unloaded: kernels in use may run on any thread. OpenMP first, since oneDNN asks for it by name.
            SymbolLookup lookup = SymbolLookup.loaderLookup();
            for (Path file : files) {
                lookup = SymbolLookup.libraryLookup(file, Arena.global()).or(lookup);
            }
            loaded = platform.systemOpenMp == null
                    ? lookup
                    : lookup.or(SymbolLookup.libraryLookup(platform.systemOpenMp, Arena.global()));
        }
        return loaded;
    }

    private static String version() throws IOException {
        try (InputStream in = OneDnnLibrary.class.getResourceAsStream(VERSION_RESOURCE)) {
            Properties properties = new Properties();
            if (in != null) {
                properties.load(in);
            }
            return properties.getProperty("version", "unversioned");
        }
    }

    /**
     * @param files what to load, in order
     * @param systemOpenMp the OpenMP library where it's the system's
     */
    private record Platform(
            String name, List<String> files, @Nullable String systemOpenMp) {
        static Platform current() throws FileNotFoundException {
            String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
            String processor = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
            boolean x86 = processor.equals("amd64") || processor.equals("x86_64");
            boolean arm = processor.equals("aarch64") || processor.equals("arm64");
            if (system.startsWith("linux") && (x86 || arm)) {
                return new Platform(
                        x86 ? "linux-x86_64" : "linux-arm64", List.of("libgomp.so.1", "libdnnl.so.3"), null);
            }
            if (system.startsWith("mac") && arm) {
                return new Platform("macosx-arm64", List.of("libomp.dylib", "libdnnl.3.dylib"), null);
            }
            if (system.startsWith("windows") && x86) {
                return new Platform("windows-x86_64", List.of("dnnl.dll"), "vcomp140.dll");
            }
            throw new FileNotFoundException("oneDNN is not packaged for " + system + " on " + processor);
        }
    }
}
