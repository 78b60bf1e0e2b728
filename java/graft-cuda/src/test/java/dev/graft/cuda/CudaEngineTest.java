package dev.graft.cuda;

import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineConformance;

/** The contract of all engines. */
class CudaEngineTest extends EngineConformance {
    @Override
    protected Engine openEngine() {
        Engine engine = Emulation.open();
        return Emulation.PLATFORM == CudaPlatform.EMULATED ? WatchedEngine.over(engine, Emulation.control()) : engine;
    }
}
