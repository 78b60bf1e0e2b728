package dev.graft.meta;

import dev.graft.meta.Adaptation.Curve;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;

/**
 * A learned start beside the plain one on tasks that it was not learned from. The plain start is given every advantage: after each
 * number of steps it counts with the best of several learning rates, the inner loop's and those three times smaller and larger.
 *
 * @param innerSteps K, what the learned start was made for
 * @param learned query loss by inner steps, from the learned start
 * @param plain query loss by inner steps, from the plain start at its best
 */
public record StartComparison(int innerSteps, Curve learned, Curve plain) {
    private static final double[] RATE_FACTORS = {1 / 3.0, 1, 3};

    /**
     * Adapts from both.
     *
     * @param plainSteps inner steps that the plain start is given to catch up, at least K
     */
    public static StartComparison measure(
            Adaptation adaptation, float[] learned, float[] plain, InnerLoop loop, int plainSteps) {
        List<InnerLoop> rates = Arrays.stream(RATE_FACTORS)
                .mapToObj(factor -> loop.withLearningRate(factor * loop.learningRate()))
                .toList();
        return new StartComparison(
                loop.steps(), adaptation.curve(learned, loop, loop.steps()), adaptation.best(plain, rates, plainSteps));
    }

    /** How many float32 vectors {@link #measure} needs on the host: both starts, and those of whoever adapts from them. */
    public static long hostVectors(InnerLoop loop) {
        return 2 + Learner.vectors(loop.rule());
    }

    /** Steps that the plain start needs for what the learned one reaches in K; empty where it never got there. */
    public OptionalInt plainStepsToMatch() {
        return plain.stepsToReach(learned.after(innerSteps));
    }
}
