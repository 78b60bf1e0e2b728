package dev.graft.model;

import dev.graft.engine.Sequences;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One batch as the layers see it: how many rows, where they stand, and where their keys and values go — into the layer's own
 * buffers when training, behind those already in the cache when generating.
 */
record BatchContext(
        int rows,
        Sequences sequences,
        TensorView positions,
        @Nullable KeyValueCache cache) {

    /** Where this batch's keys are written. */
    Tensor newKeys(int layer, LayerBuffers buffers) {
        return newRows(cache == null ? null : cache.keys(layer), buffers.key());
    }

    /** Where this batch's values are written. */
    Tensor newValues(int layer, LayerBuffers buffers) {
        return newRows(cache == null ? null : cache.values(layer), buffers.value());
    }

    /** All keys that queries may see. */
    TensorView allKeys(int layer, LayerBuffers buffers) {
        return allRows(cache == null ? null : cache.keys(layer), buffers.key());
    }

    /** All values that queries may see. */
    TensorView allValues(int layer, LayerBuffers buffers) {
        return allRows(cache == null ? null : cache.values(layer), buffers.value());
    }

    private Tensor newRows(@Nullable Tensor cached, @Nullable Tensor own) {
        if (cache != null && cached != null) {
            return cached.rows(cache.length(), cache.length() + rows);
        }
        return Objects.requireNonNull(own).rows(0, rows);
    }

    private TensorView allRows(@Nullable Tensor cached, @Nullable Tensor own) {
        return cached != null ? cached : Objects.requireNonNull(own).rows(0, rows);
    }
}
