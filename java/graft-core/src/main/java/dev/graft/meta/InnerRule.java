package dev.graft.meta;

import dev.graft.common.InputException;

/** How an inner step moves the weights. */
public enum InnerRule {
    /** {@code θ ← θ - α g}. */
    SGD,
    /** Adam with moments that start anew in every task, as a fine-tuning run's would. */
    ADAM;

    /** Reads a flag's value. */
    public static InnerRule parse(String text) {
        return switch (text) {
            case "sgd" -> SGD;
            case "adam" -> ADAM;
            default -> throw new InputException("--inner " + text + ": use sgd or adam");
        };
    }
}
