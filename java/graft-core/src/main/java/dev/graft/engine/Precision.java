package dev.graft.engine;

import dev.graft.tensor.DType;

/** How frozen weights and activations are computed. A, B, their gradients and AdamW are float32 in both. */
public enum Precision {
    F32(DType.F32),
    BF16(DType.BF16);

    private final DType compute;

    Precision(DType compute) {
        this.compute = compute;
    }

    /** The dtype of weights and activations. Products accumulate in float32 either way. */
    public DType compute() {
        return compute;
    }
}
