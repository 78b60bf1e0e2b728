package dev.graft.engine;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/**
 * One adapter's low-rank part of a linear layer over a range of rows: {@code y[from..to) += s (x Aᵀ) Bᵀ}.
 *
 * @param fromRow first row of x and y that belongs to this adapter
 * @param toRow one past the last
 * @param a A [r, K] in the compute dtype
 * @param b B [N, r] in the compute dtype
 * @param scale s = α / r, or α / √r with rsLoRA
 * @param hidden h = s · dropout(x) Aᵀ, [at least toRow - fromRow, r] in the compute dtype; written forward, read backward
 * @param dropout null for none
 * @param dropped scratch [at least toRow - fromRow, K] for dropout(x); null without dropout
 * @param gradients where dA and dB go; null when only running forward
 */
public record LoraTerm(
        int fromRow,
        int toRow,
        TensorView a,
        TensorView b,
        float scale,
        Tensor hidden,
        @Nullable Dropout dropout,
        @Nullable Tensor dropped,
        @Nullable Gradients gradients) {

    /**
     * @param a dA [r, K] float32, accumulated into
     * @param b dB [N, r] float32, accumulated into
     * @param hidden scratch for u = s · dy B, [at least toRow - fromRow, r] in the compute dtype; no other term of the same
     *     call may use it
     */
    public record Gradients(Tensor a, Tensor b, Tensor hidden) {}

    /**
     * The gradients, which a backward pass needs.
     *
     * @throws IllegalArgumentException where there are none
     */
    public Gradients requireGradients() {
        if (gradients == null) {
            throw new IllegalArgumentException("linearBackward needs the gradients of its adapters, A " + a);
        }
        return gradients;
    }

    /** r. */
    public int rank() {
        return a.rows();
    }
}
