package dev.graft.cpu.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.graft.tensor.BFloat16;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/** Moves parts of rows between tensors of any float dtype and float arrays, where kernels compute. */
final class Rows {
    private static final VectorSpecies<Byte> BYTE = ByteVector.SPECIES_PREFERRED;

    private Rows() {}

    /** @throws IllegalArgumentException where the tensor's memory is not this machine's */
    static MemorySegment segment(TensorView view) {
        if (view.memory() instanceof HostMemory host) {
            return host.segment();
        }
        throw new IllegalArgumentException("tensor " + view + " does not lie in this engine's memory");
    }

    static long offset(TensorView view, int row, int column) {
        return view.rowOffset(row) + (long) column * view.dtype().byteSize();
    }

    /** {@code into[at..at+n) = view[row, column..column+n)} as float32. */
    static void load(TensorView view, int row, int column, int n, float[] into, int at) {
        MemorySegment segment = segment(view);
        long offset = offset(view, row, column);
        switch (view.dtype()) {
            case F32 -> MemorySegment.copy(segment, JAVA_FLOAT_UNALIGNED, offset, into, at, n);
            case BF16 -> loadBf16(segment, offset, n, into, at);
            case F16 -> loadF16(segment, offset, n, into, at);
            default -> throw new IllegalArgumentException("tensor " + view + " does not hold floats");
        }
    }

    /** A whole row. */
    static void load(TensorView view, int row, float[] into) {
        load(view, row, 0, view.cols(), into, 0);
    }

    private static void loadBf16(MemorySegment segment, long offset, int n, float[] into, int at) {
        int bound = Lanes.FLOAT.loopBound(n);
        for (int i = 0; i < bound; i += Lanes.COUNT) {
            ShortVector bits =
                    ShortVector.fromMemorySegment(Lanes.SHORT, segment, offset + 2L * i, ByteOrder.LITTLE_ENDIAN);
            Lanes.widen(bits).intoArray(into, at + i);
        }
        for (int i = bound; i < n; i++) {
            into[at + i] = BFloat16.toFloat(segment.get(JAVA_SHORT_UNALIGNED, offset + 2L * i));
        }
    }

    private static void loadF16(MemorySegment segment, long offset, int n, float[] into, int at) {
        for (int i = 0; i < n; i++) {
            into[at + i] = Float.float16ToFloat(segment.get(JAVA_SHORT_UNALIGNED, offset + 2L * i));
        }
    }

    /** {@code tensor[row, column..column+n) = from[at..at+n)}, rounded to the tensor's dtype. */
    static void store(float[] from, int at, Tensor tensor, int row, int column, int n) {
        MemorySegment segment = segment(tensor);
        long offset = offset(tensor, row, column);
        switch (tensor.dtype()) {
            case F32 -> MemorySegment.copy(from, at, segment, JAVA_FLOAT_UNALIGNED, offset, n);
            case BF16 -> storeBf16(from, at, segment, offset, n);
            default -> throw new IllegalArgumentException("tensor " + tensor + " is neither F32 nor BF16");
        }
    }

    /** A whole row. */
    static void store(float[] from, Tensor tensor, int row) {
        store(from, 0, tensor, row, 0, tensor.cols());
    }

    private static void storeBf16(float[] from, int at, MemorySegment segment, long offset, int n) {
        int bound = Lanes.FLOAT.loopBound(n);
        for (int i = 0; i < bound; i += Lanes.COUNT) {
            Lanes.narrow(FloatVector.fromArray(Lanes.FLOAT, from, at + i))
                    .intoMemorySegment(segment, offset + 2L * i, ByteOrder.LITTLE_ENDIAN);
        }
        for (int i = bound; i < n; i++) {
            segment.set(JAVA_SHORT_UNALIGNED, offset + 2L * i, BFloat16.fromFloat(from[at + i]));
        }
    }

    /** {@code to[toRow, toColumn..+n) = from[fromRow, fromColumn..+n)}, bytes as they are; both of the same dtype. */
    static void copy(TensorView from, int fromRow, int fromColumn, Tensor to, int toRow, int toColumn, int n) {
        MemorySegment.copy(
                segment(from),
                offset(from, fromRow, fromColumn),
                segment(to),
                offset(to, toRow, toColumn),
                (long) n * from.dtype().byteSize());
    }

    /** {@code to[toRow + i, 0..d) = from[fromRow + i, fromColumn..+d)} for {@code rows} rows, d being the columns of {@code to}. */
    static void copyBlock(TensorView from, int fromRow, int fromColumn, Tensor to, int toRow, int rows) {
        MemorySegment source = segment(from);
        MemorySegment target = segment(to);
        int bytes = to.cols() * to.dtype().byteSize();
        int bound = BYTE.loopBound(bytes);
        for (int row = 0; row < rows; row++) {
            long s = offset(from, fromRow + row, fromColumn);
            long t = offset(to, toRow + row, 0);
            for (int i = 0; i < bound; i += BYTE.length()) {
                ByteVector.fromMemorySegment(BYTE, source, s + i, ByteOrder.LITTLE_ENDIAN)
                        .intoMemorySegment(target, t + i, ByteOrder.LITTLE_ENDIAN);
            }
            if (bound < bytes) {
                MemorySegment.copy(source, s + bound, target, t + bound, bytes - bound);
            }
        }
    }

    /** Zero bytes in rows {@code from} to {@code to}. */
    static void zero(Tensor tensor, int from, int to) {
        MemorySegment segment = segment(tensor);
        long rowBytes = (long) tensor.cols() * tensor.dtype().byteSize();
        if (from == to) {
            return;
        }
        if (tensor.isContiguous()) {
            segment.asSlice(tensor.rowOffset(from), (to - from) * rowBytes).fill((byte) 0);
            return;
        }
        for (int row = from; row < to; row++) {
            segment.asSlice(tensor.rowOffset(row), rowBytes).fill((byte) 0);
        }
    }

    /** One element of an F32 matrix. */
    static float getFloat(TensorView view, int row, int column) {
        return segment(view).get(JAVA_FLOAT_UNALIGNED, offset(view, row, column));
    }

    /** One element of an F32 matrix. */
    static void setFloat(Tensor tensor, int row, int column, float value) {
        segment(tensor).set(JAVA_FLOAT_UNALIGNED, offset(tensor, row, column), value);
    }

    /** Element {@code i} of an I32 vector [1, M]. */
    static int getInt(TensorView view, int i) {
        return segment(view).get(JAVA_INT_UNALIGNED, offset(view, 0, i));
    }
}
