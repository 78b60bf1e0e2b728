package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.train.PeftParity;

/** Fine-tuning on the CUDA engine equals PEFT's. */
class CudaPeftParityTest extends PeftParity {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }
}
