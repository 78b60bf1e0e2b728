package dev.graft.lora;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A weight of the base model, of which an adapter may train a copy of its own.
 *
 * @param name as in the checkpoint, such as {@code model.norm.weight}
 * @param rows 1 for a vector
 * @param isVector whether it is stored with one dimension
 * @param tiedTo the weight that this one is; null for a weight of its own
 */
public record SavableWeight(
        String name,
        int rows,
        int cols,
        boolean isVector,
        @Nullable String tiedTo) {
    public long size() {
        return (long) rows * cols;
    }

    /** As stored. */
    public List<Integer> shape() {
        return isVector ? List.of(cols) : List.of(rows, cols);
    }

    /** The same as a weight of its own. */
    SavableWeight untied() {
        return tiedTo == null ? this : new SavableWeight(name, rows, cols, isVector, null);
    }
}
