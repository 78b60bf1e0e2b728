package dev.graft.meta;

import dev.graft.meta.Adaptation.Curve;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.DoubleStream;

/**
 * A learned start beside the plain one on tasks that it was not learned from. The plain start is given every advantage: after each
 * number of steps it counts with the best of several learning rates, those of the inner loop times 2⁻³ … 2³.
 *
 * @param innerSteps K, what the learned start was made for
 * @param learned query loss by inner steps, from the learned start
 * @param plain query loss by inner steps, from the plain start at its best
 */
public record StartComparison(int innerSteps, Curve learned, Curve plain) {
    private static final int OCTAVES = 3;

    /**
     * Adapts from both.
     *
     * @param plainSteps inner steps that the plain start is given to catch up, at least K
     */
    public static StartComparison measure(
            Adaptation adaptation, float[] learned, float[] plain, InnerLoop loop, int plainSteps) {
        List<InnerLoop> rates = DoubleStream.iterate(-OCTAVES, octave -> octave <= OCTAVES, octave -> octave + 1)
                .mapToObj(octave -> loop.withLearningRate(loop.learningRate() * Math.pow(2, octave)))
                .toList();
        return new StartComparison(
                loop.steps(),
                adaptation.curve(learned, loop, loop.steps()),
                adaptation.best(plain, rates, plainSteps));
    }

    /** Steps that the plain start needs for what the learned one reaches in K; empty where it never got there. */
    public OptionalInt plainStepsToMatch() {
        return plain.stepsToReach(learned.after(innerSteps));
    }
}
