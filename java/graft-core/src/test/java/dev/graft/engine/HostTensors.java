package dev.graft.engine;

import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Reads and writes matrices in {@link HostMemory}, element by element or as float64; for {@link ReferenceEngine}. */
final class HostTensors {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private HostTensors() {}

    static MemorySegment segment(TensorView view) {
        if (view.memory() instanceof HostMemory host) {
            return host.segment();
        }
        throw new IllegalArgumentException(view + " has no memory that this engine can read");
    }

    /** The elements, row by row. */
    static float[] readFloats(TensorView view) {
        float[] values = new float[Math.toIntExact(view.size())];
        MemorySegment segment = segment(view);
        for (int row = 0; row < view.rows(); row++) {
            readRow(segment, view.dtype(), view.rowOffset(row), values, row * view.cols(), view.cols());
        }
        return values;
    }

    /** {@code count} elements at a byte offset, into {@code values} from {@code at}. */
    static void readRow(MemorySegment segment, DType dtype, long offset, float[] values, int at, int count) {
        switch (dtype) {
            case F32 -> MemorySegment.copy(segment, FLOAT, offset, values, at, count);
            case BF16 -> {
                for (int i = 0; i < count; i++) {
                    values[at + i] = BFloat16.toFloat(segment.get(SHORT, offset + 2L * i));
                }
            }
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    values[at + i] = Float.float16ToFloat(segment.get(SHORT, offset + 2L * i));
                }
            }
            default -> throw new IllegalArgumentException("not a float type: " + dtype);
        }
    }

    static Matrix read(TensorView view) {
        return Matrix.of(view.rows(), view.cols(), readFloats(view));
    }

    static int[] readInts(TensorView view) {
        int[] values = new int[Math.toIntExact(view.size())];
        MemorySegment.copy(segment(view), INT, view.byteOffset(), values, 0, values.length);
        return values;
    }

    /** Writes the elements, row by row, rounded to the dtype. */
    static void writeFloats(float[] values, Tensor tensor) {
        MemorySegment segment = segment(tensor);
        for (int row = 0; row < tensor.rows(); row++) {
            long offset = tensor.rowOffset(row);
            int from = row * tensor.cols();
            switch (tensor.dtype()) {
                case F32 -> MemorySegment.copy(values, from, segment, FLOAT, offset, tensor.cols());
                case BF16 -> {
                    for (int i = 0; i < tensor.cols(); i++) {
                        segment.set(SHORT, offset + 2L * i, BFloat16.fromFloat(values[from + i]));
                    }
                }
                default -> throw new IllegalArgumentException("not a compute type: " + tensor.dtype());
            }
        }
    }

    static void write(Matrix matrix, Tensor tensor) {
        float[] values = new float[matrix.values().length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) matrix.values()[i];
        }
        writeFloats(values, tensor);
    }

    static void writeInts(int[] values, Tensor tensor) {
        MemorySegment.copy(values, 0, segment(tensor), INT, tensor.byteOffset(), values.length);
    }

    /** {@code tensor += matrix}. */
    static void accumulate(Matrix matrix, Tensor tensor) {
        write(read(tensor).plus(matrix), tensor);
    }

    static void fill(Tensor tensor, float value) {
        float[] values = new float[Math.toIntExact(tensor.size())];
        Arrays.fill(values, value);
        writeFloats(values, tensor);
    }

    /** Whether two matrices share an element. Columns of one wider matrix lie apart though their bytes interleave. */
    static boolean overlap(TensorView left, TensorView right) {
        if (left.size() == 0 || right.size() == 0 || !segment(left).equals(segment(right))) {
            return false;
        }
        if (end(left) <= right.byteOffset() || end(right) <= left.byteOffset()) {
            return false;
        }
        long leftPitch = left.pitch() * left.dtype().byteSize();
        long rightPitch = right.pitch() * right.dtype().byteSize();
        if (leftPitch != rightPitch) {
            return true;
        }
        long distance = Math.floorMod(right.byteOffset() - left.byteOffset(), leftPitch);
        return distance < (long) left.cols() * left.dtype().byteSize()
                || distance + (long) right.cols() * right.dtype().byteSize() > leftPitch;
    }

    private static long end(TensorView view) {
        return view.rowOffset(view.rows() - 1L)
                + (long) view.cols() * view.dtype().byteSize();
    }
}
