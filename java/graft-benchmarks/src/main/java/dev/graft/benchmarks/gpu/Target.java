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
     * An engine.
     *
     * @throws InputException where it cannot be used here, with the reason
     */
    CudaEngine open(Variant variant) {
        CudaLibraries.unavailableReason(platform).ifPresent(reason -> {
            throw new InputException("--engine " + engineName() + ": " + reason);
        });
        DeviceSettings memory = isEmulated() ? DeviceSettings.forEmulator() : DeviceSettings.forGpu();
        return new CudaEngine(
                platform,
                new CudaSettings(0, variant.border(), false, variant.wgmma(), memory.withOverlap(variant.overlap())));
    }
}
