package dev.graft.meta;

import dev.graft.common.InputException;

/**
 * How the weights adapt to one task: full-batch steps on its support rows.
 *
 * @param rule of a step
 * @param steps K
 * @param learningRate α
 * @param clipNorm gradients are scaled down to this norm; 0 = off
 */
public record InnerLoop(InnerRule rule, int steps, double learningRate, double clipNorm) {
    public InnerLoop {
        if (steps < 1) {
            throw new InputException("--inner-steps " + steps + ": must be at least 1");
        }
        if (!(learningRate >= 0 && learningRate <= Double.MAX_VALUE)) {
            throw new InputException("--inner-lr " + learningRate + ": must be at least 0");
        }
        if (!(clipNorm >= 0 && clipNorm <= Double.MAX_VALUE)) {
            throw new InputException("--inner-clip " + clipNorm + ": must be at least 0");
        }
    }

    /** The same with another learning rate. */
    public InnerLoop withLearningRate(double newLearningRate) {
        return new InnerLoop(rule, steps, newLearningRate, clipNorm);
    }
}
