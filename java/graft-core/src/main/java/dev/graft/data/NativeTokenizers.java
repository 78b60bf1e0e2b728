package dev.graft.data;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.graft.common.InputException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The Rust tokenizers library, through the JNI class of DJL alone. The layers above it are left out: {@code HuggingFaceTokenizer}
 * reports its use over the network and pads and truncates by default, and {@code LibUtils} looks for CUDA and downloads a build
 * for it. The library is the one in DJL's jar.
 */
final class NativeTokenizers {
    private static @Nullable TokenizersLibrary library;

    private NativeTokenizers() {}

    /** @throws InputException where the library does not load on this machine */
    static synchronized TokenizersLibrary library() {
        if (library == null) {
            String platform = platform();
            try {
                load("/native/lib/" + platform + "/cpu/");
            } catch (IOException | UnsatisfiedLinkError e) {
                throw new InputException(
                        "the native tokenizers library does not load on " + platform + " (" + e.getMessage()
                                + "); use linux with glibc 2.34 or newer, macOS on aarch64 or Windows on x86_64, and a"
                                + " -Djava.io.tmpdir that allows programs, or data with input_ids",
                        e);
            }
            library = TokenizersLibrary.LIB;
        }
        return library;
    }

    /** The name of this machine's folder in the jar. */
    private static String platform() {
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch");
        return (os.startsWith("windows") ? "win" : os.startsWith("mac") ? "osx" : os) + "-"
                + (arch.equals("amd64") ? "x86_64" : arch);
    }

    private static void load(String folder) throws IOException {
        String name = System.mapLibraryName("tokenizers");
        // on Windows what the library needs comes first
        List<String> names = name.endsWith(".dll")
                ? List.of("libwinpthread-1.dll", "libgcc_s_seh-1.dll", "libstdc++-6.dll", name)
                : List.of(name);
        Path dir = Files.createTempDirectory("graft-tokenizers");
        List<Path> files = new ArrayList<>();
        try {
            for (String each : names) {
                Path file = dir.resolve(each);
                files.add(file);
                extract(folder + each, file);
                System.load(file.toString());
            }
        } finally {
            for (Path file : files) {
                remove(file);
            }
            remove(dir);
        }
    }

    private static void extract(String resource, Path file) throws IOException {
        try (InputStream in = TokenizersLibrary.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new FileNotFoundException("no " + resource + " in the tokenizers jar");
            }
            Files.copy(in, file);
        }
    }

    /** A loaded library needs its file no more, except on Windows, which keeps the file until the program ends. */
    private static void remove(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            file.toFile().deleteOnExit();
        }
    }
}
