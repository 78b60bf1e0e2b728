package dev.graft.engine;

/** The suite holds for the reference itself. */
class ReferenceEngineTest extends EngineConformance {
    @Override
    protected Engine openEngine() {
        return new ReferenceEngine();
    }
}
