package dev.graft.benchmarks.gpu;

import dev.graft.common.InputException;
import dev.graft.cuda.CudaEngine;
import dev.graft.cuda.CudaSettings;
import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.cuda.natives.CudaPlatform;

/** The engine under test. Each measurement opens its own, in the layout that it measures. */
record Target(CudaPlatform platform) {
    /** @throws InputException for a name that is no CUDA engine */
    static Target named(String engine) {
        return switch (engine) {
            case CudaEngine.NAME -> new Target(CudaPlatform.GPU);
            case CudaEngine.EMULATED_NAME -> new Target(CudaPlatform.EMULATED);
            default ->
                throw new InputException(
                        "--engine " + engine + ": there are " + CudaEngine.NAME + " and " + CudaEngine.EMULATED_NAME);
        };
    }

    boolean isEmulated() {
        return platform == CudaPlatform.EMULATED;
    }

    /** As typed after {@code --engine}. */
    String engineName() {
        return isEmulated() ? CudaEngine.EMULATED_NAME : CudaEngine.NAME;
    }

    /**
     * An engine with room for {@code border} columns and rows around frozen weights; 0 for plain matrices.
     *
     * @throws InputException where it cannot be used here, with the reason
     */
    CudaEngine open(int border) {
        return open(border, false);
    }

    /** The same, with kernels beside products where {@code overlap} says so. */
    CudaEngine open(int border, boolean overlap) {
        CudaLibraries.unavailableReason(platform).ifPresent(reason -> {
            throw new InputException("--engine " + engineName() + ": " + reason);
        });
        DeviceSettings memory = isEmulated() ? DeviceSettings.forEmulator() : DeviceSettings.forGpu();
        return new CudaEngine(platform, new CudaSettings(0, border, false, false, memory.withOverlap(overlap)));
    }
}
