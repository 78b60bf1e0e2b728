package dev.graft.cuda.natives;

import dev.graft.common.NativeLibraryCache;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds cuBLAS. JCuda 12.6 asks for {@code libcublas.so.12}; where only version 13 is installed, a forwarder of ours answers to
 * that name and passes the calls on. Looked for: where the system's loader looks, {@code $CUDA_HOME} and {@code $CUDA_PATH},
 * {@code /usr/local/cuda}, what {@code graft fetch-cublas} fetched, and the folder in the system property
 * {@value #FOLDER_PROPERTY}.
 */
public final class CublasFinder {
    static final String FOLDER_PROPERTY = "graft.cublas";

    private static final int[] VERSIONS = {12, 13};

    private CublasFinder() {}

    /**
     * A cuBLAS.
     *
     * @param folder null where the system's loader finds it by name
     */
    record Cublas(int version, @Nullable Path folder) {
        /** What to load, in order: cuBLAS asks for its other half by name. */
        List<String> files() {
            List<String> files = new ArrayList<>();
            for (String stem : new String[] {"libcublasLt.so.", "libcublas.so."}) {
                String name = stem + version;
                files.add(folder == null ? name : folder.resolve(name).toString());
            }
            return files;
        }
    }

    /** Where {@code graft fetch-cublas} puts the libraries. */
    public static Path downloadFolder() {
        return NativeLibraryCache.userFolder().resolve("cublas-12.6");
    }

    /** The oldest version that can be used; null for none. */
    static @Nullable Cublas find() {
        for (int version : VERSIONS) {
            String name = "libcublas.so." + version;
            for (Path folder : folders()) {
                if (Files.isRegularFile(folder.resolve(name))) {
                    return new Cublas(version, folder);
                }
            }
            if (systemHas(name)) {
                return new Cublas(version, null);
            }
        }
        return null;
    }

    private static boolean systemHas(String name) {
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup(name, arena);
            return true;
        } catch (IllegalArgumentException missing) {
            return false;
        }
    }

    private static List<Path> folders() {
        List<Path> folders = new ArrayList<>();
        String chosen = System.getProperty(FOLDER_PROPERTY);
        if (chosen != null) {
            folders.add(Path.of(chosen));
        }
        List<Path> homes = new ArrayList<>();
        for (String variable : new String[] {"CUDA_HOME", "CUDA_PATH"}) {
            String home = System.getenv(variable);
            if (home != null && !home.isBlank()) {
                homes.add(Path.of(home));
            }
        }
        homes.add(Path.of("/usr/local/cuda"));
        for (Path home : homes) {
            folders.add(home.resolve("lib64"));
            folders.add(home.resolve("targets/x86_64-linux/lib"));
        }
        folders.add(downloadFolder());
        return folders;
    }
}
