package dev.graft.train;

import dev.graft.engine.Engine;
import dev.graft.engine.ReferenceEngine;

/** The model code against PEFT, on the float64 reference engine: what differs here is no engine's fault. */
class ReferencePeftParityTest extends PeftParity {
    @Override
    protected Engine openEngine() {
        return new ReferenceEngine();
    }
}
