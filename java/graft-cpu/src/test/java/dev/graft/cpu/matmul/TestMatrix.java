package dev.graft.cpu.matmul;

import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** Matrices for tests: with a margin of known values around them, at odd offsets, and read back as float64. */
final class TestMatrix {
    private static final int OFFSET = 3; // elements before the matrix, so that it isn't aligned

    private TestMatrix() {}

    /** Random values of about unit size; {@code margin} more columns in memory than in the matrix. */
    static Tensor random(Arena arena, DType type, int rows, int cols, int margin, long seed) {
        long pitch = cols + margin;
        MemorySegment segment = arena.allocate((OFFSET + rows * pitch + 1) * type.byteSize(), 64);
        Random random = new Random(seed);
        for (long i = 0; i < segment.byteSize() / type.byteSize(); i++) {
            set(segment, type, i, (float) random.nextGaussian());
        }
        Tensor whole =
                Tensor.of(HostMemory.borrowed(segment), (long) OFFSET * type.byteSize(), type, rows, (int) pitch);
        return whole.columns(0, cols);
    }

    static void set(MemorySegment segment, DType type, long index, float value) {
        if (type == DType.F32) {
            segment.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, index, value);
        } else {
            segment.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, index, BFloat16.fromFloat(value));
        }
    }

    static double get(TensorView x, int row, int col) {
        MemorySegment segment = ((HostMemory) x.memory()).segment();
        long at = x.rowOffset(row) + (long) col * x.dtype().byteSize();
        return x.dtype() == DType.F32
                ? segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at)
                : BFloat16.toFloat(segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
    }

    /** All values, row by row or, transposed, column by column. */
    static double[][] values(TensorView x, boolean transposed) {
        double[][] values = new double[transposed ? x.cols() : x.rows()][transposed ? x.rows() : x.cols()];
        for (int i = 0; i < values.length; i++) {
            for (int j = 0; j < values[i].length; j++) {
                values[i][j] = transposed ? get(x, j, i) : get(x, i, j);
            }
        }
        return values;
    }

    /** A copy of all bytes behind a matrix, those around it too. */
    static byte[] bytes(TensorView x) {
        return ((HostMemory) x.memory()).segment().toArray(ValueLayout.JAVA_BYTE);
    }

    /** Whether the bytes outside of the matrix are those of {@code before}. */
    static boolean leftMarginsAlone(TensorView x, byte[] before) {
        byte[] after = bytes(x);
        boolean[] inside = new boolean[after.length];
        for (int row = 0; row < x.rows(); row++) {
            int start = (int) x.rowOffset(row);
            java.util.Arrays.fill(inside, start, start + x.cols() * x.dtype().byteSize(), true);
        }
        for (int i = 0; i < after.length; i++) {
            if (!inside[i] && after[i] != before[i]) {
                return false;
            }
        }
        return true;
    }
}
