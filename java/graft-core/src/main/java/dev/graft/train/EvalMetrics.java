package dev.graft.train;

/**
 * An evaluation.
 *
 * @param loss mean over all target tokens
 * @param tokens how many there were
 */
public record EvalMetrics(double loss, long tokens) {
    /** e to the loss. */
    public double perplexity() {
        return Math.exp(loss);
    }
}
