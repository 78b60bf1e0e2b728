package dev.graft.nn;

import org.jspecify.annotations.Nullable;

/**
 * A linear layer of the base model: {@code y = x Wᵀ + bias}.
 *
 * @param name the module's full name, such as {@code model.layers.0.self_attn.q_proj}
 * @param weight W [out, in]
 * @param bias [1, out], or null
 */
public record Linear(String name, Weight weight, @Nullable Weight bias) {
    public int in() {
        return weight.value().cols();
    }

    public int out() {
        return weight.value().rows();
    }

    public boolean isTrainable() {
        return weight.isTrainable() || (bias != null && bias.isTrainable());
    }
}
