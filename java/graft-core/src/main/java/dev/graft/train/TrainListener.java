package dev.graft.train;

import java.nio.file.Path;

/** Is told what happens in a run, on the training thread. */
public interface TrainListener {
    /** A step was done. */
    default void onStep(StepMetrics metrics) {}

    /** The evaluation data was evaluated after {@code step}. */
    default void onEvaluation(int step, EvalMetrics metrics) {}

    /** A checkpoint was written. */
    default void onCheckpoint(int step, Path folder) {}

    /** Does nothing. */
    TrainListener NONE = new TrainListener() {};
}
