package dev.graft.tensor;

/** A matrix that can be written: activations, gradients, A and B, optimizer state. Never a frozen weight. */
public final class Tensor extends TensorView {
    private Tensor(Memory memory, long byteOffset, DType dtype, int rows, int cols, long pitch, int border) {
        super(memory, byteOffset, dtype, rows, cols, pitch, border);
    }

    /** A matrix over {@code memory}, starting at {@code byteOffset}, rows back to back. */
    public static Tensor of(Memory memory, long byteOffset, DType dtype, int rows, int cols) {
        return new Tensor(memory, byteOffset, dtype, rows, cols, cols, 0);
    }

    /** As {@link #of(Memory, long, DType, int, int)}, with rows {@code pitch} elements apart and a {@link #border}. */
    public static Tensor of(Memory memory, long byteOffset, DType dtype, int rows, int cols, long pitch, int border) {
        return new Tensor(memory, byteOffset, dtype, rows, cols, pitch, border);
    }

    @Override
    public Tensor rows(int from, int to) {
        checkRange("rows", from, to, rows);
        return new Tensor(memory, rowOffset(from), dtype, to - from, cols, pitch, border);
    }

    @Override
    public Tensor columns(int from, int to) {
        checkRange("columns", from, to, cols);
        return new Tensor(
                memory, byteOffset + (long) from * dtype.byteSize(), dtype, rows, to - from, pitch, borderAfter(to));
    }

    @Override
    public Tensor reshape(int newRows, int newCols) {
        checkReshape(newRows, newCols);
        return new Tensor(memory, byteOffset, dtype, newRows, newCols, newCols, 0);
    }

    /** The same memory without the right to write. */
    public TensorView asReadOnly() {
        return new TensorView(memory, byteOffset, dtype, rows, cols, pitch, border);
    }
}
