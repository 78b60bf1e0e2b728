package dev.graft.lora;

import dev.graft.nn.FlatParameters.Slot;

/**
 * A weight that an adapter trains whole, in place of the base's.
 *
 * @param weight which one
 * @param slot where its values lie in the flat buffers; tied weights share it
 */
public record SavedWeight(SavableWeight weight, Slot slot) {
    public String name() {
        return weight.name();
    }
}
