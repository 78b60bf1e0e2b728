package dev.graft.cpu;

import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.train.JointTrainingContract;

/** Several adapters at once. */
class CpuJointTrainingTest extends JointTrainingContract {
    @Override
    protected Engine openEngine() {
        return Engines.open(CpuEngine.NAME);
    }
}
