package dev.graft.cuda;

import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineProvider;
import java.util.Optional;

/** Offers {@link CudaEngine} on a GPU, before the CPU. */
public final class CudaEngineProvider implements EngineProvider {
    @Override
    public String name() {
        return CudaEngine.NAME;
    }

    @Override
    public int priority() {
        return 10;
    }

    @Override
    public Optional<String> unavailableReason() {
        return CudaLibraries.unavailableReason(CudaPlatform.GPU);
    }

    @Override
    public Engine open(int sharedRanks) {
        return new CudaEngine(CudaPlatform.GPU, CudaSettings.fromProperties(DeviceSettings.forGpu(), sharedRanks));
    }
}
