package dev.graft.nn;

import dev.graft.common.InputException;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * All that is trained, as one flat float32 array of values; the gradients are a second array with the same layout. Each
 * parameter is a view into both. The optimizer is then one loop, the gradient norm one reduction, a checkpoint a few arrays.
 *
 * <p>In bf16 a third array holds the values rounded to bf16, which is what products read; {@link #refresh} rewrites it after
 * every update.
 */
public final class FlatParameters {
    /** Parameters start on 64-byte boundaries; the gaps stay zero. */
    private static final int ALIGNMENT = 16;

    /**
     * One parameter: its name, its shape, and where it starts in the flat array.
     *
     * @param fast whether LoRA+ gives it the larger learning rate: B does, A does not
     */
    public record Slot(String name, int rows, int cols, int offset, boolean fast) {
        public int size() {
            return rows * cols;
        }
    }

    /** Collects the parameters before anything is allocated. */
    public static final class Layout {
        private final List<Slot> slots = new ArrayList<>();
        private long end;

        /** Adds a parameter and returns its place. */
        public Slot add(String name, int rows, int cols) {
            return add(name, rows, cols, false);
        }

        /** As {@link #add}, for a parameter to which LoRA+ gives the larger learning rate. */
        public Slot addFast(String name, int rows, int cols) {
            return add(name, rows, cols, true);
        }

        private Slot add(String name, int rows, int cols, boolean fast) {
            long offset = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            end = offset + (long) rows * cols;
            if (end > Integer.MAX_VALUE - ALIGNMENT) {
                throw new InputException("more than 2^31 trainable numbers at " + name
                        + "; train fewer modules, a smaller --rank, or --method lora instead of full");
            }
            Slot slot = new Slot(name, rows, cols, (int) offset, fast);
            slots.add(slot);
            return slot;
        }
    }

    private final List<Slot> slots;
    private final Tensor values;
    private final Tensor computeValues;
    private final @Nullable Tensor gradients;
    private int version;

    /** @param training whether gradients are needed */
    public FlatParameters(Layout layout, Allocator allocator, Precision precision, boolean training) {
        this.slots = List.copyOf(layout.slots);
        int length = Math.max(1, (int) layout.end);
        this.values = allocator.tensor(MemoryKind.TRAINABLE, "values", DType.F32, 1, length);
        this.computeValues = precision == Precision.F32
                ? values
                : allocator.tensor(MemoryKind.TRAINABLE, "values, bf16", DType.BF16, 1, length);
        this.gradients = training ? allocator.tensor(MemoryKind.GRADIENTS, "gradients", DType.F32, 1, length) : null;
    }

    public List<Slot> slots() {
        return slots;
    }

    /** How many numbers are trained: Σ rows · cols. */
    public long count() {
        return slots.stream().mapToLong(Slot::size).sum();
    }

    /** All values, float32 [1, n]. */
    public Tensor values() {
        return values;
    }

    /** All gradients, float32 [1, n]. */
    public Tensor gradients() {
        if (gradients == null) {
            throw new IllegalStateException("these parameters were set up without gradients");
        }
        return gradients;
    }

    public boolean hasGradients() {
        return gradients != null;
    }

    /** A parameter's float32 values [rows, cols]. */
    public Tensor value(Slot slot) {
        return view(values, slot);
    }

    /** A parameter's gradient [rows, cols], float32. */
    public Tensor gradient(Slot slot) {
        return view(gradients(), slot);
    }

    /** A parameter as products read it: in the compute dtype. */
    public TensorView compute(Slot slot) {
        return view(computeValues, slot).asReadOnly();
    }

    /**
     * Sets all parameters.
     *
     * @param byName the values of each slot by its name; what else it holds is not looked at
     * @throws IllegalArgumentException where a slot has no values, or not as many as it takes
     */
    public void set(Engine engine, Map<String, float[]> byName) {
        for (Slot slot : slots) {
            float[] numbers = byName.get(slot.name());
            if (numbers == null || numbers.length != slot.size()) {
                throw new IllegalArgumentException("no values, or not " + slot.size() + ", for " + slot.name());
            }
            engine.upload(numbers, value(slot));
        }
        refresh(engine);
    }

    /** Rewrites what is derived from the values: the compute-dtype copy. To be called after every change of the values. */
    public void refresh(Engine engine) {
        version++;
        if (computeValues != values) {
            engine.convert(values, computeValues);
        }
    }

    /** Counts the calls of {@link #refresh}: what else is derived from the values is as old as the version it was made at. */
    public int version() {
        return version;
    }

    private static Tensor view(Tensor flat, Slot slot) {
        return flat.columns(slot.offset(), slot.offset() + slot.size()).reshape(slot.rows(), slot.cols());
    }
}
