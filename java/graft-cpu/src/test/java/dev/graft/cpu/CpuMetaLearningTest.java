package dev.graft.cpu;

import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.meta.MetaLearningContract;

/** Learned initialisations. */
class CpuMetaLearningTest extends MetaLearningContract {
    @Override
    protected Engine openEngine() {
        return Engines.open(CpuEngine.NAME);
    }
}
