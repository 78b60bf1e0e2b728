package dev.graft.cpu;

import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.train.FullParity;

/** Full fine-tuning on the CPU engine equals PyTorch's. */
class CpuFullParityTest extends FullParity {
    @Override
    protected Engine openEngine() {
        return Engines.open("cpu");
    }
}
