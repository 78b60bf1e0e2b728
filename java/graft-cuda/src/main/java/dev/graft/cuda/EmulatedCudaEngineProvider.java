package dev.graft.cuda;

import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineProvider;
import java.util.Optional;

/** Offers {@link CudaEngine} on the emulator: the same Java and the same kernels without a GPU, for tests. Only by name. */
public final class EmulatedCudaEngineProvider implements EngineProvider {
    @Override
    public String name() {
        return CudaEngine.EMULATED_NAME;
    }

    @Override
    public int priority() {
        return -1;
    }

    @Override
    public Optional<String> unavailableReason() {
        return CudaLibraries.unavailableReason(CudaPlatform.EMULATED);
    }

    @Override
    public Engine open(int sharedRanks) {
        return new CudaEngine(
                CudaPlatform.EMULATED, CudaSettings.fromProperties(DeviceSettings.forEmulator(), sharedRanks));
    }
}
