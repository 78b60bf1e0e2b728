package dev.graft.cpu;

import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.train.PeftParity;

/** Fine-tuning on the CPU engine equals PEFT's. */
class CpuPeftParityTest extends PeftParity {
    @Override
    protected Engine openEngine() {
        return Engines.open("cpu");
    }
}
