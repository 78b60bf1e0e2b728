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
    final int border;

    TensorView(Memory memory, long byteOffset, DType dtype, int rows, int cols, long pitch, int border) {
        if (rows < 0 || cols < 0 || border < 0 || pitch < (long) cols + border) {
            throw new IllegalArgumentException(
                    "bad matrix layout: [" + rows + ", " + cols + "] and " + border + " with pitch " + pitch);
        }
        long last = rows == 0 ? byteOffset : byteOffset + ((rows - 1L) * pitch + cols + border) * dtype.byteSize();
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
        this.border = border;
    }

    /** A read-only matrix over {@code memory}, starting at {@code byteOffset}, rows back to back. */
    public static TensorView readOnly(Memory memory, long byteOffset, DType dtype, int rows, int cols) {
        return new TensorView(memory, byteOffset, dtype, rows, cols, cols, 0);
    }

    /** As {@link #readOnly(Memory, long, DType, int, int)}, with rows {@code pitch} elements apart and a border. */
    public static TensorView readOnly(
            Memory memory, long byteOffset, DType dtype, int rows, int cols, long pitch, int border) {
        return new TensorView(memory, byteOffset, dtype, rows, cols, pitch, border);
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

    /**
     * Columns to the right of the last one that belong to this matrix without being part of it: room for the low-rank factors that
     * an engine multiplies together with it. They hold nothing between two calls of the engine, which may write them in any call.
     */
    public int border() {
        return border;
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
        return new TensorView(memory, rowOffset(from), dtype, to - from, cols, pitch, border);
    }

    /** Columns {@code from} (inclusive) to {@code to} (exclusive). */
    public TensorView columns(int from, int to) {
        checkRange("columns", from, to, cols);
        return new TensorView(
                memory, byteOffset + (long) from * dtype.byteSize(), dtype, rows, to - from, pitch, borderAfter(to));
    }

    /** The same elements in another shape; needs {@link #isContiguous()}. */
    public TensorView reshape(int newRows, int newCols) {
        checkReshape(newRows, newCols);
        return new TensorView(memory, byteOffset, dtype, newRows, newCols, newCols, 0);
    }

    /** The last columns keep the border, what ends before them has none. */
    final int borderAfter(int to) {
        return to == cols ? border : 0;
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
