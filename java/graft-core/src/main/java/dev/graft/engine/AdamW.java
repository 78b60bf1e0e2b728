package dev.graft.engine;

/**
 * One AdamW step's numbers, as in PyTorch's {@code torch.optim.AdamW}. With g the clipped gradient and t the step:
 * {@code p ← p (1 - lr λ)}, {@code m ← β₁ m + (1 - β₁) g}, {@code v ← β₂ v + (1 - β₂) g²},
 * {@code p ← p - lr / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)}.
 *
 * @param learningRate lr
 * @param step t, from 1
 * @param clipNorm g is scaled by min(1, clipNorm / (‖g‖ + 1e-6)), as PyTorch's clip_grad_norm_ does; 0 = no clipping
 */
public record AdamW(
        double learningRate,
        double beta1,
        double beta2,
        double epsilon,
        double weightDecay,
        int step,
        double clipNorm) {
    /** The same step with another learning rate. */
    public AdamW withLearningRate(double newLearningRate) {
        return new AdamW(newLearningRate, beta1, beta2, epsilon, weightDecay, step, clipNorm);
    }
}
