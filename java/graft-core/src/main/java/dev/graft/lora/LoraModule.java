package dev.graft.lora;

import dev.graft.nn.FlatParameters.Slot;
import org.jspecify.annotations.Nullable;

/**
 * One adapted layer of an adapter: {@code W = W0 + s B A}; with DoRA its rows are scaled to lengths m.
 *
 * @param module the adapted layer, W0 [d, k]
 * @param rank r
 * @param scale s
 * @param a where A [r, k] lies in the flat buffers
 * @param b where B [d, r] lies
 * @param magnitude where m [1, d] lies; null without DoRA
 * @param stream a number of its own for random numbers
 */
public record LoraModule(
        LinearModule module,
        int rank,
        float scale,
        Slot a,
        Slot b,
        @Nullable Slot magnitude,
        int stream) {
    public String name() {
        return module.name();
    }

    /** The same with DoRA's m at {@code slot}. */
    LoraModule withMagnitude(Slot slot) {
        return new LoraModule(module, rank, scale, a, b, slot, stream);
    }
}
