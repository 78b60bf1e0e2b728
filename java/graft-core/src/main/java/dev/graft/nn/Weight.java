package dev.graft.nn;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/**
 * A weight of the model in the compute dtype. Frozen weights have no gradient and no way to be written.
 *
 * @param gradient float32, the value's shape; null for a frozen weight
 */
public record Weight(
        String name, TensorView value, @Nullable Tensor gradient) {
    public boolean isTrainable() {
        return gradient != null;
    }
}
