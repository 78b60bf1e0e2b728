package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.train.BottleneckContract;

/** Bottleneck modules on the CUDA engine. */
class CudaBottleneckTest extends BottleneckContract {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }
}
