package dev.graft.train;

import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.model.DecoderConfig;

/** Bottleneck modules on the float64 reference engine: what differs from PyTorch here is no engine's fault. */
class ReferenceBottleneckTest extends BottleneckContract {
    @Override
    protected Engine openEngine() {
        return new ReferenceEngine();
    }

    /** Its sums are float64: rounding a block's output to float32 before the residual is added is one rounding more. */
    @Override
    protected double startTolerance(DecoderConfig config, Precision precision) {
        return 1e-6;
    }
}
