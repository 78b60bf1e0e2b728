package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.train.JointTrainingContract;

/** Several adapters at once. */
class CudaJointTrainingTest extends JointTrainingContract {
    @Override
    protected Engine openEngine() {
        return Emulation.open();
    }
}
