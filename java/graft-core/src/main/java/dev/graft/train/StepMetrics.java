package dev.graft.train;

/**
 * One optimizer step.
 *
 * @param step from 1
 * @param totalSteps of the run
 * @param loss mean over the step's target tokens, before the update
 * @param learningRate used in the step
 * @param gradNorm before clipping
 * @param tokens of the step, masked ones included
 * @param tokensPerSecond of the step
 * @param elapsedSeconds since the run began, earlier parts of a resumed run included
 */
public record StepMetrics(
        int step,
        int totalSteps,
        double loss,
        double learningRate,
        double gradNorm,
        long tokens,
        double tokensPerSecond,
        double elapsedSeconds) {}
