package dev.graft.model;

import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** The rotated keys and the values of one sequence, layer by layer, so that a new token costs one row. */
public final class KeyValueCache {
    private final List<Tensor> keys = new ArrayList<>();
    private final List<Tensor> values = new ArrayList<>();
    private final int capacity;
    private int length;

    /** @param capacity tokens of the longest sequence */
    public KeyValueCache(Allocator allocator, DecoderConfig config, Precision precision, int capacity) {
        this.capacity = capacity;
        for (int layer = 0; layer < config.layers(); layer++) {
            keys.add(tensor(allocator, config, precision, "keys " + layer));
            values.add(tensor(allocator, config, precision, "values " + layer));
        }
    }

    private Tensor tensor(Allocator allocator, DecoderConfig config, Precision precision, String name) {
        return allocator.tensor(MemoryKind.ACTIVATIONS, name, precision.compute(), capacity, config.keyValueWidth());
    }

    public int capacity() {
        return capacity;
    }

    /** Tokens held. */
    public int length() {
        return length;
    }

    /** Forgets what it holds. */
    public void clear() {
        length = 0;
    }

    Tensor keys(int layer) {
        return keys.get(layer);
    }

    Tensor values(int layer) {
        return values.get(layer);
    }

    void extend(int rows) {
        length += rows;
    }
}
