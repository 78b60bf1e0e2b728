package dev.graft.cpu.kernels;

import dev.graft.tensor.TensorView;

/** Reads I32 indices. */
final class Indices {
    private Indices() {}

    /** Reads an index and refuses one outside 0 to {@code limit} (exclusive). */
    static int get(String operation, TensorView indices, int i, int limit) {
        int index = Rows.getInt(indices, i);
        if (index < 0 || index >= limit) {
            throw new IllegalArgumentException("index out of range in " + operation + ": " + index + " at place " + i
                    + ", not in 0 to " + (limit - 1));
        }
        return index;
    }
}
