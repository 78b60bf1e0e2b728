package dev.graft.cpu;

import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.train.BottleneckContract;

/** Bottleneck modules on the CPU engine. */
class CpuBottleneckTest extends BottleneckContract {
    @Override
    protected Engine openEngine() {
        return Engines.open("cpu");
    }
}
