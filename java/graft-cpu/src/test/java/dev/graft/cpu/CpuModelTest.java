package dev.graft.cpu;

import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.model.ModelContract;

/** Adapters on whole models, on the CPU engine. */
class CpuModelTest extends ModelContract {
    @Override
    protected Engine openEngine() {
        return Engines.open(CpuEngine.NAME);
    }
}
