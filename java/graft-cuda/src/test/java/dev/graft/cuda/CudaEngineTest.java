package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.engine.EngineConformance;

/** The contract of all engines. */
class CudaEngineTest extends EngineConformance {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }
}
