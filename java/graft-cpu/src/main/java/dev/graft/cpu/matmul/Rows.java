package dev.graft.cpu.matmul;

import static java.nio.ByteOrder.nativeOrder;

import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/** Between matrices of F32 or BF16 in memory and float32 numbers in Java arrays. */
final class Rows {
    static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(nativeOrder());
    static final ValueLayout.OfShort BF16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(nativeOrder());

    private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> I = F.withLanes(int.class); // the compiler must see a constant
    private static final VectorSpecies<Short> S =
            VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));

    private Rows() {}

    /** {@code values[to + i * toStep]} = the element {@code fromStep * i} bytes after byte {@code from} of x's memory. */
    static void read(TensorView x, long from, long fromStep, int count, float[] values, int to, int toStep) {
        MemorySegment segment = HostAddress.segment(x);
        if (x.dtype() == DType.F32) {
            for (int i = 0; i < count; i++) {
                values[to + i * toStep] = segment.get(F32, from + i * fromStep);
            }
        } else {
            for (int i = 0; i < count; i++) {
                values[to + i * toStep] = BFloat16.toFloat(segment.get(BF16, from + i * fromStep));
            }
        }
    }

    /** A vector of F32 numbers, {@code at} in bytes. */
    static FloatVector loadF32(MemorySegment x, long at) {
        return FloatVector.fromMemorySegment(F, x, at, nativeOrder());
    }

    /** A vector of BF16 numbers, {@code at} in bytes; bf16 is the upper half of a float32. */
    static FloatVector loadBf16(MemorySegment x, long at) {
        return ShortVector.fromMemorySegment(S, x, at, nativeOrder())
                .convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0)
                .reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, 16)
                .reinterpretAsFloats();
    }

    /** {@link BFloat16#fromFloat}, a vector at once. */
    private static void storeBf16(FloatVector x, MemorySegment to, long at) {
        IntVector bits = x.reinterpretAsInts();
        IntVector upper = bits.lanewise(VectorOperators.LSHR, 16);
        IntVector rounded = bits.add(upper.and(1)).add(0x7fff).lanewise(VectorOperators.LSHR, 16);
        VectorMask<Integer> nan = x.test(VectorOperators.IS_NAN).cast(I);
        ((ShortVector) rounded.blend(upper.or(0x0040), nan).convertShape(VectorOperators.I2S, S, 0))
                .intoMemorySegment(to, at, nativeOrder());
    }

    /** Copies BF16 numbers as F32. */
    static void widen(MemorySegment from, long fromByte, MemorySegment to, long toByte, int count) {
        int j = 0;
        for (; j < F.loopBound(count); j += F.length()) {
            loadBf16(from, fromByte + 2L * j).intoMemorySegment(to, toByte + 4L * j, nativeOrder());
        }
        for (; j < count; j++) {
            to.set(F32, toByte + 4L * j, BFloat16.toFloat(from.get(BF16, fromByte + 2L * j)));
        }
    }

    /** {@code values[at + j] += x[row, col + j]}; nothing where x is null. */
    static void add(@Nullable TensorView x, int row, int col, int count, float[] values, int at) {
        if (x == null) {
            return;
        }
        MemorySegment segment = HostAddress.segment(x);
        long from = x.rowOffset(row) + (long) col * x.dtype().byteSize();
        if (x.dtype() == DType.F32) {
            for (int j = 0; j < count; j++) {
                values[at + j] += segment.get(F32, from + 4L * j);
            }
        } else {
            int j = 0;
            for (; j < F.loopBound(count); j += F.length()) {
                FloatVector sum = FloatVector.fromArray(F, values, at + j);
                sum.add(loadBf16(segment, from + 2L * j)).intoArray(values, at + j);
            }
            for (; j < count; j++) {
                values[at + j] += BFloat16.toFloat(segment.get(BF16, from + 2L * j));
            }
        }
    }

    /** {@code c[row, col + j] = values[at + j] + bias + what the product adds}, rounded to c's type; changes the values. */
    static void finish(Product product, int row, int col, int count, float[] values, int at) {
        Tensor c = product.c();
        add(product.bias(), 0, col, count, values, at);
        add(product.beta() == 0 ? product.addend() : c, row, col, count, values, at);
        MemorySegment segment = HostAddress.segment(c);
        long to = c.rowOffset(row) + (long) col * c.dtype().byteSize();
        if (c.dtype() == DType.F32) {
            MemorySegment.copy(values, at, segment, F32, to, count);
            return;
        }
        int j = 0;
        for (; j < F.loopBound(count); j += F.length()) {
            storeBf16(FloatVector.fromArray(F, values, at + j), segment, to + 2L * j);
        }
        for (; j < count; j++) {
            segment.set(BF16, to + 2L * j, BFloat16.fromFloat(values[at + j]));
        }
    }
}
