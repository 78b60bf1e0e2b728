package dev.graft.meta;

/**
 * One meta-step; losses are means over its tasks.
 *
 * @param step from 1
 * @param totalSteps of the run
 * @param supportLoss of the support rows at the initialisation, before the update
 * @param queryLoss of the query rows after the inner steps
 * @param learningRate of the update
 * @param gradNorm of the mean meta-gradient
 * @param innerStepSeconds mean time of an inner step
 * @param elapsedSeconds since the run began
 */
public record MetaMetrics(
        int step,
        int totalSteps,
        double supportLoss,
        double queryLoss,
        double learningRate,
        double gradNorm,
        double innerStepSeconds,
        double elapsedSeconds) {}
