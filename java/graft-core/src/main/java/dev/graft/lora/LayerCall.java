package dev.graft.lora;

import dev.graft.nn.Linear;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer that a pass goes through.
 *
 * @param linear the layer
 * @param y forward: its output [M, out], written, in the compute dtype or F32 (logits). Backward: dy in the compute dtype, read
 * @param residual forward: added to the output; y's shape and dtype, may not overlap it. Null for none; unused backward
 */
public record LayerCall(Linear linear, Tensor y, @Nullable TensorView residual) {
    public LayerCall(Linear linear, Tensor y) {
        this(linear, y, null);
    }
}
