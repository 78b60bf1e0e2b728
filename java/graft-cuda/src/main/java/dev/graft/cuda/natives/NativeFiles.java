package dev.graft.cuda.natives;

import dev.graft.common.NativeLibraryCache;
import dev.graft.tensor.Fingerprint;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/**
 * Where the native libraries of the CUDA engine lie: in the folder that the system property {@value #FOLDER_PROPERTY} names (the
 * {@code lib} folder of a CMake build), or packed into the jar.
 */
final class NativeFiles {
    /** A folder with the output of {@code scripts/build-native}, used instead of what the jar holds. */
    static final String FOLDER_PROPERTY = "graft.cuda.natives";

    static final String KERNELS = "libgraft_cuda.so";
    static final String FORWARDER = "libgraft_cublas12_forwarder.so";
    static final String EMULATED_DRIVER = "libcuda.so.1";
    static final String EMULATED_CUBLAS = "libcublas.so.12";

    private static final String RESOURCES = "/dev/graft/cuda/natives/";
    private static final String JCUDA_RESOURCES = "/lib/";
    private static final List<String> JCUDA =
            List.of("libJCudaDriver-12.6.0-linux-x86_64.so", "libJCublas2-12.6.0-linux-x86_64.so");

    private NativeFiles() {}

    /** Whether this is a system that JCuda has libraries for. */
    static boolean isSupportedSystem() {
        String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String processor = System.getProperty("os.arch");
        return system.startsWith("linux") && (processor.equals("amd64") || processor.equals("x86_64"));
    }

    /** Whether a library was built for {@code platform}. */
    static boolean exists(CudaPlatform platform, String name) {
        Path folder = folder(platform);
        return folder != null
                ? Files.isRegularFile(folder.resolve(name))
                : NativeFiles.class.getResource(resource(platform, name)) != null;
    }

    /** A library of ours as a file. */
    static Path file(CudaPlatform platform, String name) throws IOException {
        Path folder = folder(platform);
        if (folder != null) {
            return folder.resolve(name);
        }
        // the name alone does not tell one build from another
        String content = HexFormat.of().toHexDigits(fingerprint(resource(platform, name)));
        return NativeLibraryCache.unpack(
                        RESOURCES + subfolder(platform), List.of(name), "cuda-" + subfolder(platform) + content)
                .getFirst();
    }

    /** The folder that holds JCuda's libraries as files. */
    static Path jcudaFolder() throws IOException {
        return NativeLibraryCache.unpack(JCUDA_RESOURCES, JCUDA, "jcuda")
                .getFirst()
                .getParent();
    }

    private static Path folder(CudaPlatform platform) {
        String folder = System.getProperty(FOLDER_PROPERTY);
        return folder == null ? null : Path.of(folder, subfolder(platform));
    }

    private static String subfolder(CudaPlatform platform) {
        return platform == CudaPlatform.EMULATED ? "emulated/" : "cuda/";
    }

    private static String resource(CudaPlatform platform, String name) {
        return RESOURCES + subfolder(platform) + name;
    }

    private static long fingerprint(String resource) throws IOException {
        try (InputStream in = NativeFiles.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new IOException(resource + " is not on the class path");
            }
            return Fingerprint.of(MemorySegment.ofArray(in.readAllBytes()));
        }
    }
}
