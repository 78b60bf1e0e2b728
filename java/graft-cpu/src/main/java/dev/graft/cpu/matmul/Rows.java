package dev.graft.cpu.matmul;

import static java.nio.ByteOrder.nativeOrder;

import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Between matrices of F32 or BF16 in memory and float32 numbers in Java arrays. */
final class Rows {
    static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(nativeOrder());
    static final ValueLayout.OfShort BF16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(nativeOrder());

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
            for (int j = 0; j < count; j++) {
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
        for (int j = 0; j < count; j++) {
            segment.set(BF16, to + 2L * j, BFloat16.fromFloat(values[at + j]));
        }
    }
}
