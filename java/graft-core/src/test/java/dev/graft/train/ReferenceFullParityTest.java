package dev.graft.train;

import dev.graft.engine.Engine;
import dev.graft.engine.ReferenceEngine;

/** Full fine-tuning by the model code against PyTorch, on the float64 reference engine: what differs here is no engine's fault. */
class ReferenceFullParityTest extends FullParity {
    @Override
    protected Engine openEngine() {
        return new ReferenceEngine();
    }
}
