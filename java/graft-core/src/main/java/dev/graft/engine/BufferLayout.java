package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;

/**
 * How an engine wants its buffers laid out.
 *
 * @param alignment bytes; the size of every buffer is rounded up to a multiple of it
 * @param border columns that the engine wants behind the matrices that enter and leave linear layers, so that low-rank factors can
 *     be multiplied together with them ({@link dev.graft.tensor.TensorView#border}); 0 for none
 * @param engineBytes what the engine itself holds for its work, whatever the run; part of every plan
 */
public record BufferLayout(int alignment, int border, long engineBytes) {
    /** Rows of a bordered matrix start on multiples of this many elements: 16 bytes of bf16. */
    private static final int PITCH_MULTIPLE = 8;

    /** Plain matrices on 64-byte boundaries. */
    public static final BufferLayout PLAIN = new BufferLayout(64, 0, 0);

    /** Bytes of a plain matrix. */
    long bytes(DType dtype, int rows, int cols) {
        return rounded((long) rows * cols * dtype.byteSize());
    }

    /** Bytes of a bordered matrix. */
    long borderedBytes(DType dtype, int rows, int cols) {
        return rounded(rows * pitch(cols) * dtype.byteSize());
    }

    /** A bordered matrix over memory of {@link #borderedBytes}. */
    Tensor bordered(Memory memory, DType dtype, int rows, int cols) {
        return Tensor.of(memory, 0, dtype, rows, cols, pitch(cols), border);
    }

    /** Elements from one row of a bordered matrix to the next. */
    public long pitch(int cols) {
        return border == 0 ? cols : Math.ceilDiv((long) cols + border, PITCH_MULTIPLE) * PITCH_MULTIPLE;
    }

    private long rounded(long bytes) {
        return Math.max(alignment, Math.ceilDiv(bytes, (long) alignment) * alignment);
    }
}
