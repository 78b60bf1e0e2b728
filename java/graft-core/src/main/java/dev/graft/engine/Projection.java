package dev.graft.engine;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer at work: {@code y = x Wᵀ + bias + Σ s (x Aᵀ) Bᵀ [+ residual]}. Layers that share their input (q, k and v; gate
 * and up) are given to the engine together, so that it can read x once and sum dx once.
 *
 * @param weight W [N, K] in the compute dtype
 * @param bias [1, N] in the compute dtype, or null
 * @param lora the adapters, by row range; empty for the frozen layer alone
 * @param y forward: the output [M, N], written, in the compute dtype or F32 (logits). Backward: dy in the compute dtype, read
 * @param residual forward: added to the output; same shape and dtype as y, may not overlap it. Null for none; unused backward
 * @param weightGradient dW [N, K] float32, accumulated into; null for a frozen weight
 * @param biasGradient dbias [1, N] float32, accumulated into; null for a frozen bias
 */
public record Projection(
        TensorView weight,
        @Nullable TensorView bias,
        List<LoraTerm> lora,
        Tensor y,
        @Nullable TensorView residual,
        @Nullable Tensor weightGradient,
        @Nullable Tensor biasGradient) {}
