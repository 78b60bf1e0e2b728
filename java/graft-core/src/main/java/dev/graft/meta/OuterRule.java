package dev.graft.meta;

import dev.graft.common.InputException;

/** How a meta-step moves the initialisation along the mean of its tasks' meta-gradients. */
public enum OuterRule {
    /** {@code θ ← θ - ε d}: with Reptile's d = θ - θ', a step of the share ε towards the tasks' weights. */
    SGD,
    /** Adam. */
    ADAM;

    /** Reads a flag's value. */
    public static OuterRule parse(String text) {
        return switch (text) {
            case "sgd" -> SGD;
            case "adam" -> ADAM;
            default -> throw new InputException("--outer " + text + ": use sgd or adam");
        };
    }
}
