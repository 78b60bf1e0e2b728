package dev.graft.model;

import java.util.List;

/**
 * Consecutive targets of a batch whose losses are summed apart: those of one adapter, where several are trained at once.
 *
 * @param toTarget one past the last of them, as the batch counts its targets; the first is where the part before ends
 * @param gradientScale the gradient is that of {@code gradientScale · Σ losses}
 */
public record LossPart(int toTarget, float gradientScale) {
    /** All targets of {@code batch} together. */
    static List<LossPart> whole(TokenBatch batch, float gradientScale) {
        return List.of(new LossPart(batch.targets().length, gradientScale));
    }
}
