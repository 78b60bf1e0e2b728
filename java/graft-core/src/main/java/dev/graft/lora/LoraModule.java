package dev.graft.lora;

import dev.graft.nn.FlatParameters.Slot;

/**
 * One adapted layer of an adapter: {@code W = W0 + s B A}.
 *
 * @param module the adapted layer, W0 [d, k]
 * @param rank r
 * @param scale s
 * @param a where A [r, k] lies in the flat buffers
 * @param b where B [d, r] lies
 * @param stream a number of its own for random numbers
 */
public record LoraModule(LinearModule module, int rank, float scale, Slot a, Slot b, int stream) {
    public String name() {
        return module.name();
    }
}
