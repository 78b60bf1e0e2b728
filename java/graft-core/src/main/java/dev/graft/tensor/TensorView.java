package dev.graft.tensor;

import java.util.Locale;

/**
 * A matrix that can be read: {@code rows} rows of {@code cols} elements, consecutive rows {@code pitch} elements apart. Frozen
 * weights only ever exist as this type; what may be written is a {@link Tensor}. A vector is a matrix of one row.
 */
public sealed class TensorView permits Tensor {
    final Memory memory;
    final long byteOffset;
    final DType dtype;
    final int rows;
    final int cols;
    final long pitch;

    TensorView(Memory memory, long byteOffset, DType dtype, int rows, int cols, long pitch) {
        if (rows < 0 || cols < 0 || pitch < cols) {
            throw new IllegalArgumentException("bad matrix layout: [" + rows + ", " + cols + "] with pitch " + pitch);
        }
        long last = rows == 0 ? byteOffset : byteOffset + ((rows - 1L) * pitch + cols) * dtype.byteSize();
        if (byteOffset < 0 || last > memory.byteSize()) {
            throw new IndexOutOfBoundsException("matrix [" + rows + ", " + cols + "] " + dtype + " at byte "
                    + byteOffset + " ends at byte " + last + " of " + memory.byteSize());
        }
        this.memory = memory;
        this.byteOffset = byteOffset;
        this.dtype = dtype;
        this.rows = rows;
        this.cols = cols;
        this.pitch = pitch;
    }

    /** A read-only matrix over {@code memory}, starting at {@code byteOffset}, rows back to back. */
    public static TensorView readOnly(Memory memory, long byteOffset, DType dtype, int rows, int cols) {
        return new TensorView(memory, byteOffset, dtype, rows, cols, cols);
    }

    public Memory memory() {
        return memory;
    }

    /** Where the first element lies in {@link #memory()}. */
    public long byteOffset() {
        return byteOffset;
    }

    public DType dtype() {
        return dtype;
    }

    public int rows() {
        return rows;
    }

    public int cols() {
        return cols;
    }

    /** Elements from one row's start to the next one's. */
    public long pitch() {
        return pitch;
    }

    /** Number of elements, {@code rows * cols}. */
    public long size() {
        return (long) rows * cols;
    }

    public long byteSize() {
        return size() * dtype.byteSize();
    }

    /** Whether rows lie back to back. */
    public boolean isContiguous() {
        return pitch == cols || rows <= 1;
    }

    /** Where row {@code row} starts in {@link #memory()}, in bytes. */
    public long rowOffset(long row) {
        return byteOffset + row * pitch * dtype.byteSize();
    }

    /** Rows {@code from} (inclusive) to {@code to} (exclusive). */
    public TensorView rows(int from, int to) {
        checkRange("rows", from, to, rows);
        return new TensorView(memory, rowOffset(from), dtype, to - from, cols, pitch);
    }

    /** Columns {@code from} (inclusive) to {@code to} (exclusive). */
    public TensorView columns(int from, int to) {
        checkRange("columns", from, to, cols);
        return new TensorView(memory, byteOffset + (long) from * dtype.byteSize(), dtype, rows, to - from, pitch);
    }

    /** The same elements in another shape; needs {@link #isContiguous()}. */
    public TensorView reshape(int newRows, int newCols) {
        checkReshape(newRows, newCols);
        return new TensorView(memory, byteOffset, dtype, newRows, newCols, newCols);
    }

    final void checkRange(String what, int from, int to, int limit) {
        if (from < 0 || to < from || to > limit) {
            throw new IndexOutOfBoundsException(what + " " + from + " to " + to + " of " + this);
        }
    }

    final void checkReshape(int newRows, int newCols) {
        if (!isContiguous() || (long) newRows * newCols != size()) {
            throw new IllegalArgumentException("cannot reshape " + this + " to [" + newRows + ", " + newCols + "]");
        }
    }

    /** For messages: {@code bf16[576, 1536]}. */
    @Override
    public String toString() {
        return dtype.name().toLowerCase(Locale.ROOT) + "[" + rows + ", " + cols + "]";
    }
}
