package dev.graft.cpu.matmul;

import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Products of BF16 matrices by way of F32 ones: blocks of a and b are widened, multiplied, and the result rounded. Exact inputs,
 * float32 sums: at least as precise as bf16 instructions. For processors on which those are missing or slow.
 *
 * <p>One worker's; not for several threads at once.
 */
final class WidenedProduct implements AutoCloseable {
    /** Elements of a block of a or b: 1 MiB, so that both stay in a core's own cache. */
    private static final int BLOCK = 1 << 18;

    /** Longer sums are formed in parts of at most so many terms, which keeps blocks from getting thin. */
    private static final int MAX_SUM = 1024;

    private static final int MIN_LENGTH = 64;
    private static final long ALIGNMENT = 64;

    private final Buffer blockOfA = new Buffer();
    private final Buffer blockOfB = new Buffer();
    private final Buffer blockOfC = new Buffer();
    private final Buffer blockOfBias = new Buffer();
    private float[] row = new float[0];

    /** Whether widening, which takes time for each element, pays: each must take part in enough multiply-adds. */
    static boolean pays(Product product) {
        return Math.min(Math.min(product.m(), product.n()), product.k()) >= 48;
    }

    /** @param multiply computes a product of F32 matrices on this thread */
    void compute(Product product, Consumer<Product> multiply) {
        int m = product.m();
        int n = product.n();
        int k = product.k();
        int parts = (k + MAX_SUM - 1) / MAX_SUM;
        int kLength = (k + parts - 1) / parts;
        int length = Math.max(MIN_LENGTH, BLOCK / kLength / MIN_LENGTH * MIN_LENGTH);
        for (int i = 0; i < m; i += length) {
            int end = Math.min(m, i + length);
            // a block of a serves all columns where sums are not formed in parts
            TensorView a = parts == 1 ? widenA(product.tile(i, end, 0, n), 0, k) : null;
            for (int j = 0; j < n; j += length) {
                compute(product.tile(i, end, j, Math.min(n, j + length)), a, kLength, multiply);
            }
        }
    }

    private void compute(Product block, @Nullable TensorView wideA, int kLength, Consumer<Product> multiply) {
        Tensor c = block.c();
        boolean direct = c.dtype() == DType.F32;
        Tensor sums = direct ? c : blockOfC.tensor(c.rows(), c.cols());
        TensorView bias = block.bias();
        TensorView wideBias = bias != null && bias.dtype() == DType.BF16 ? blockOfBias.widen(bias) : bias;
        for (int p = 0; p < block.k(); p += kLength) {
            int end = Math.min(block.k(), p + kLength);
            TensorView a = wideA == null ? widenA(block, p, end) : wideA;
            TensorView b = blockOfB.widen(
                    block.transB() ? block.b().columns(p, end) : block.b().rows(p, end));
            boolean first = p == 0;
            float beta = first ? (direct ? block.beta() : 0) : 1;
            TensorView addend = first && direct ? block.addend() : null;
            multiply.accept(new Product(
                    a, block.transA(), b, block.transB(), beta, addend, first && direct ? wideBias : null, sums));
        }
        if (!direct) {
            round(block, sums);
        }
    }

    /** Terms {@code from} to {@code to} of the sums. */
    private TensorView widenA(Product block, int from, int to) {
        return blockOfA.widen(
                block.transA() ? block.a().rows(from, to) : block.a().columns(from, to));
    }

    private void round(Product block, Tensor sums) {
        int n = sums.cols();
        if (row.length < n) {
            row = new float[n];
        }
        MemorySegment segment = HostAddress.segment(sums);
        for (int i = 0; i < sums.rows(); i++) {
            MemorySegment.copy(segment, Rows.F32, sums.rowOffset(i), row, 0, n);
            Rows.finish(block, i, 0, n, row, 0);
        }
    }

    @Override
    public void close() {
        blockOfA.close();
        blockOfB.close();
        blockOfC.close();
        blockOfBias.close();
    }

    /** Native memory that grows to the largest matrix it was asked for. */
    private static final class Buffer implements AutoCloseable {
        private Arena arena = Arena.ofShared();
        private MemorySegment segment = MemorySegment.NULL;

        Tensor tensor(int rows, int cols) {
            long bytes = (long) rows * cols * Float.BYTES;
            if (segment.byteSize() < bytes) {
                close();
                arena = Arena.ofShared();
                segment = arena.allocate(bytes, ALIGNMENT);
            }
            return Tensor.of(HostMemory.borrowed(segment), 0, DType.F32, rows, cols);
        }

        Tensor widen(TensorView x) {
            Tensor wide = tensor(x.rows(), x.cols());
            MemorySegment from = HostAddress.segment(x);
            for (int i = 0; i < x.rows(); i++) {
                Rows.widen(from, x.rowOffset(i), segment, wide.rowOffset(i), x.cols());
            }
            return wide;
        }

        @Override
        public void close() {
            if (arena.scope().isAlive()) {
                arena.close();
            }
            segment = MemorySegment.NULL;
        }
    }
}
