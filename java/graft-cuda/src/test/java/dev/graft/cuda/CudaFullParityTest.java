package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.train.FullParity;

/** Full fine-tuning on the CUDA engine equals PyTorch's. */
class CudaFullParityTest extends FullParity {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }
}
