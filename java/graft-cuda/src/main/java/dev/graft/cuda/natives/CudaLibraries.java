package dev.graft.cuda.natives;

import dev.graft.engine.EngineFailure;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The native libraries of this process: the driver, cuBLAS, JCuda's and the kernels. Loaded once, never unloaded; a failure is not
 * remembered.
 */
public final class CudaLibraries {
    private static @Nullable CudaLibraries loaded;

    private final CudaPlatform platform;
    private final Path jcudaFolder;
    private final KernelLibrary kernels;

    private CudaLibraries(CudaPlatform platform, Path jcudaFolder, KernelLibrary kernels) {
        this.platform = platform;
        this.jcudaFolder = jcudaFolder;
        this.kernels = kernels;
    }

    /** Why {@code platform} cannot be used in this process, in one line; empty where it can. */
    public static synchronized Optional<String> unavailableReason(CudaPlatform platform) {
        if (!NativeFiles.isSupportedSystem()) {
            return Optional.of("the CUDA engine runs on Linux x86-64 only");
        }
        if (loaded != null && loaded.platform != platform) {
            return Optional.of("this process already uses " + name(loaded.platform) + ", and JCuda binds to one only");
        }
        return platform == CudaPlatform.EMULATED ? emulatorProblem() : gpuProblem();
    }

    private static Optional<String> emulatorProblem() {
        return NativeFiles.exists(CudaPlatform.EMULATED, NativeFiles.KERNELS)
                ? Optional.empty()
                : Optional.of("the emulator is not in this build, which had no CMake or no C++ compiler;"
                        + " install them and build again");
    }

    private static Optional<String> gpuProblem() {
        GpuProbe.Result probe = GpuProbe.devices();
        if (probe.gpus().isEmpty()) {
            return Optional.of(probe.problem());
        }
        if (probe.gpus().stream().noneMatch(GpuProbe.Gpu::isUsable)) {
            GpuProbe.Gpu first = probe.gpus().getFirst();
            return Optional.of(String.format(
                    Locale.ROOT,
                    "%s has compute capability %.1f; the kernels need %.1f (Ampere) or newer",
                    first.name(),
                    first.capability() / 10.0,
                    GpuProbe.LEAST_CAPABILITY / 10.0));
        }
        if (!NativeFiles.exists(CudaPlatform.GPU, NativeFiles.KERNELS)) {
            return Optional.of("the CUDA kernels are not in this build, which had no nvcc;"
                    + " install the CUDA toolkit 12 or newer and run scripts/build-native");
        }
        if (CublasFinder.find() == null) {
            return Optional.of("cuBLAS 12 or 13 is not installed; run graft fetch-cublas, or install the CUDA toolkit"
                    + " and set CUDA_HOME");
        }
        return Optional.empty();
    }

    /**
     * Loads what {@code platform} needs.
     *
     * @throws EngineFailure where the system cannot load a library
     */
    public static synchronized CudaLibraries load(CudaPlatform platform) {
        if (loaded == null) {
            try {
                loadDriverAndCublas(platform);
                KernelLibrary kernels = new KernelLibrary(library(NativeFiles.file(platform, NativeFiles.KERNELS)));
                loaded = new CudaLibraries(platform, NativeFiles.jcudaFolder(), kernels);
            } catch (IOException | IllegalArgumentException | IllegalStateException e) {
                throw new EngineFailure("the native libraries of the CUDA engine cannot be loaded: " + e.getMessage());
            }
        }
        if (loaded.platform != platform) {
            throw new EngineFailure(unavailableReason(platform).orElseThrow());
        }
        return loaded;
    }

    /** What JCuda's and our libraries ask for by name must be there before them. */
    private static void loadDriverAndCublas(CudaPlatform platform) throws IOException {
        if (platform == CudaPlatform.EMULATED) {
            library(NativeFiles.file(platform, NativeFiles.EMULATED_DRIVER));
            library(NativeFiles.file(platform, NativeFiles.EMULATED_CUBLAS));
            return;
        }
        CublasFinder.Cublas cublas = CublasFinder.find();
        if (cublas == null) {
            throw new IOException("no cuBLAS 12 or 13");
        }
        for (String file : cublas.files()) {
            if (cublas.folder() == null) {
                SymbolLookup.libraryLookup(file, Arena.global());
            } else {
                library(Path.of(file));
            }
        }
        if (cublas.version() > 12) {
            library(NativeFiles.file(platform, NativeFiles.FORWARDER));
        }
    }

    private static SymbolLookup library(Path file) {
        return SymbolLookup.libraryLookup(file, Arena.global());
    }

    private static String name(CudaPlatform platform) {
        return platform == CudaPlatform.EMULATED ? "the emulator" : "a GPU";
    }

    /** The functions of the kernel library. */
    public KernelLibrary kernels() {
        return kernels;
    }

    /** JCuda's native libraries as files, under the names that JCuda gives them. */
    public Path jcudaFolder() {
        return jcudaFolder;
    }
}
