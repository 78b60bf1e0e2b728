package dev.graft.model;

import dev.graft.engine.Engine;
import dev.graft.engine.ReferenceEngine;

class ReferenceModelTest extends ModelContract {
    @Override
    protected Engine openEngine() {
        return new ReferenceEngine();
    }
}
