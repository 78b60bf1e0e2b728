package dev.graft.cuda;

import static org.junit.jupiter.api.Assumptions.abort;

import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.engine.Engine;

/**
 * The engine under test: on the emulator, or with {@code -Dgraft.test.engine=cuda} on the GPU of this machine. Where neither can be
 * had, tests are skipped with the reason.
 */
final class Emulation {
    static final CudaPlatform PLATFORM =
            System.getProperty("graft.test.engine", CudaEngine.EMULATED_NAME).equals(CudaEngine.NAME)
                    ? CudaPlatform.GPU
                    : CudaPlatform.EMULATED;

    private Emulation() {}

    /** An engine whose LoRA layers are bordered by {@code border}; 0 for the plain way. */
    static CudaEngine open(int border) {
        boolean emulated = PLATFORM == CudaPlatform.EMULATED;
        (emulated ? new EmulatedCudaEngineProvider() : new CudaEngineProvider())
                .unavailableReason()
                .ifPresent(reason -> abort("no CUDA engine: " + reason));
        DeviceSettings memory = emulated ? DeviceSettings.forEmulator() : DeviceSettings.forGpu();
        return new CudaEngine(PLATFORM, new CudaSettings(0, border, false, memory));
    }

    static Engine open() {
        return open(CudaSettings.DEFAULT_BORDER);
    }
}
