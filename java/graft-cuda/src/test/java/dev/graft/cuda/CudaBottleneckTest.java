package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.model.DecoderConfig;
import dev.graft.train.BottleneckContract;

/** Bottleneck modules on the CUDA engine. */
class CudaBottleneckTest extends BottleneckContract {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }

    /** Where a block ends with a bias this engine adds it to the residual first, and rounds that sum; a module needs it in h. */
    @Override
    protected double startTolerance(DecoderConfig config, Precision precision) {
        if (!config.outputBias() && !config.mlpBias()) {
            return Emulation.zeroFactorTolerance(precision);
        }
        return precision == Precision.F32 ? 1e-6 : 1e-2;
    }
}
