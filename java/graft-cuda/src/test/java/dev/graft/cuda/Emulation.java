package dev.graft.cuda;

import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.common.InputException;
import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import java.util.function.Function;

/**
 * The engine under test: on the emulator, or with {@code -Dgraft.test.engine=cuda} on the GPU of this machine. Where neither can be
 * had, tests are skipped with the reason.
 */
public final class Emulation {
    static final CudaPlatform PLATFORM =
            System.getProperty("graft.test.engine", CudaEngine.EMULATED_NAME).equals(CudaEngine.NAME)
                    ? CudaPlatform.GPU
                    : CudaPlatform.EMULATED;

    /** A property that gives every buffer an allocation of its own, so that a tool that looks after those sees each overrun. */
    private static final String APART = "graft.test.apart";

    /** The engine's own property, with which all tests may be run. */
    private static final String READ_ONLY = "graft.cuda.readonly";

    private Emulation() {}

    /** An engine whose LoRA layers are bordered by {@code border}; 0 for the plain way. */
    static CudaEngine open(int border) {
        return open(border, false, false);
    }

    /**
     * The same.
     *
     * @param tf32 with float32 products rounded
     * @param overlap with kernels beside products
     */
    static CudaEngine open(int border, boolean tf32, boolean overlap) {
        return open(memory -> new CudaSettings(0, border, tf32, false, memory.withOverlap(overlap)));
    }

    private static CudaEngine open(Function<DeviceSettings, CudaSettings> settings) {
        boolean emulated = PLATFORM == CudaPlatform.EMULATED;
        (emulated ? new EmulatedCudaEngineProvider() : new CudaEngineProvider())
                .unavailableReason()
                .ifPresent(reason -> abort("no CUDA engine: " + reason));
        DeviceSettings memory = emulated ? DeviceSettings.forEmulator() : DeviceSettings.forGpu();
        if (Boolean.getBoolean(APART)) {
            memory = memory.withChunk(0);
        }
        memory = memory.withReadOnly(Boolean.getBoolean(READ_ONLY));
        return new CudaEngine(PLATFORM, settings.apply(memory));
    }

    /** An engine whose attention uses the tensor core instructions that Hopper alone has. Skips the test on another GPU. */
    static CudaEngine openHopper() {
        try {
            return open(settings -> new CudaSettings(0, 0, false, true, settings));
        } catch (InputException otherGpu) {
            return abort(otherGpu.getMessage());
        }
    }

    /** An engine on the emulator with memory as a GPU has it: small buffers share an allocation. */
    static CudaEngine inOnePiece(int border) {
        DeviceSettings memory = DeviceSettings.forEmulator().withChunk(64L << 20);
        return new CudaEngine(PLATFORM, new CudaSettings(0, border, false, false, memory));
    }

    /** The same, with frozen weights that have no border mapped read-only, in pieces of at least {@code chunk} bytes. */
    static CudaEngine readOnly(int border, long chunk) {
        DeviceSettings memory = DeviceSettings.forEmulator().withReadOnly(true).withChunk(chunk);
        return new CudaEngine(PLATFORM, new CudaSettings(0, border, false, false, memory));
    }

    /** How far apart results may lie whose products have some zeros more to add up: cuBLAS may add them in another order. */
    static double zeroFactorTolerance(Precision precision) {
        if (PLATFORM == CudaPlatform.EMULATED) {
            return 0;
        }
        return precision == Precision.F32 ? 1e-5 : 2e-2;
    }

    static Engine open() {
        return open(CudaSettings.DEFAULT_BORDER);
    }

    /** The emulated device's control, as at its start. Tests that need it are skipped on a GPU. */
    public static EmulatorControl control() {
        assumeTrue(PLATFORM == CudaPlatform.EMULATED, "only the emulator can be told to fail");
        new EmulatedCudaEngineProvider().unavailableReason().ifPresent(reason -> abort("no emulator: " + reason));
        EmulatorControl control = EmulatorControl.open();
        control.reset();
        return control;
    }
}
