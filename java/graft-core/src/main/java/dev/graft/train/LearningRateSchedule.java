package dev.graft.train;

import dev.graft.common.InputException;

/** How the learning rate moves over a run; the formulas of transformers' {@code get_*_schedule_with_warmup}. */
public enum LearningRateSchedule {
    /** Stays. */
    CONSTANT,
    /** Falls to zero in a straight line. */
    LINEAR,
    /** Falls to zero along half a cosine. */
    COSINE;

    /** Reads a flag's value. */
    public static LearningRateSchedule parse(String text) {
        return switch (text) {
            case "constant" -> CONSTANT;
            case "linear" -> LINEAR;
            case "cosine" -> COSINE;
            default -> throw new InputException("--schedule " + text + ": use cosine, linear or constant");
        };
    }

    /**
     * The factor of the learning rate in a step.
     *
     * @param step from 0
     * @param warmupSteps steps over which the factor rises from 0 to 1 first
     * @param totalSteps of the run
     */
    public double factor(int step, int warmupSteps, int totalSteps) {
        if (step < warmupSteps) {
            return (double) step / Math.max(1, warmupSteps);
        }
        double progress = (double) (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
        return switch (this) {
            case CONSTANT -> 1;
            case LINEAR -> Math.max(0, 1 - progress);
            case COSINE -> Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
        };
    }
}
