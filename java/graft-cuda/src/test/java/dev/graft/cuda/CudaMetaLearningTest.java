package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.meta.MetaLearningContract;

/** Learned initialisations. */
class CudaMetaLearningTest extends MetaLearningContract {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }
}
