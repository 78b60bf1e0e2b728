package dev.graft.meta;

import dev.graft.engine.Engine;
import dev.graft.engine.ReferenceEngine;

class ReferenceMetaLearningTest extends MetaLearningContract {
    @Override
    protected Engine openEngine() {
        return new ReferenceEngine();
    }
}
