package dev.graft.cuda;

import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.engine.Engine;
import dev.graft.train.JointTrainingContract;

/** Several adapters at once. */
class CudaJointTrainingTest extends JointTrainingContract {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }

    /** Where cuBLAS sums in another order for another number of rows, AdamW makes much of gradients near 0. */
    @Override
    protected float valueTolerance() {
        return Emulation.PLATFORM == CudaPlatform.GPU ? 1e-3f : super.valueTolerance();
    }
}
