package dev.graft.cpu.matmul;

import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products of a few rows, as in generation, one token at a time. Each element of b is used only a few times, so the speed is
 * that at which b comes out of memory, and b is read once, in the order in which it lies there. Needs no code made for the shape:
 * a key cache may grow by a row with every token.
 *
 * <p>One worker's; not for several threads at once.
 */
final class FewRows {
    /**
     * Up to this many rows this keeps up with oneDNN where b comes out of memory (about 25 GB/s a core, f32), and spares the 0.2 to
     * 10 ms that oneDNN takes to make code for a new shape. Out of the core's own cache oneDNN is up to twice as fast.
     */
    static final int MAX_ROWS = 4;

    private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
    private static final int VL = F.length();
    private static final int STRIP = 4; // rows, or vectors of columns, of b at a time: as many independent sums

    /**
     * All of this machine's memory. Frozen weights are mapped files, adapters are not: two classes of segments, between which code
     * compiled for both chooses at every load, at half the speed. By address there is one.
     */
    private static final MemorySegment ALL_MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private MemorySegment memory = ALL_MEMORY; // where b lies
    private long origin; // of b's memory in it
    private float[] x = new float[0]; // op(a), row by row
    private float[] sums = new float[0]; // op(a) op(b), row by row
    private final float[] strip = new float[STRIP]; // sums of a strip

    /** Bring the upper half of 2, 4, 8, … lanes down to the lower half, the widest last. */
    private static final VectorShuffle<Float>[] FOLDS = folds();

    @SuppressWarnings("unchecked")
    private static VectorShuffle<Float>[] folds() {
        VectorShuffle<Float>[] folds = new VectorShuffle[Integer.numberOfTrailingZeros(VL)];
        for (int i = 0; i < folds.length; i++) {
            int half = 1 << i;
            folds[i] = VectorShuffle.fromOp(F, lane -> (lane + half) % VL);
        }
        return folds;
    }

    void compute(Product product) {
        int m = product.m();
        int n = product.n();
        readA(product);
        locate(product.b());
        if (sums.length < m * n) {
            sums = new float[m * n];
        }
        for (int j = 0; j < n; ) {
            if (product.transB()) {
                j = dotStrip(product, j);
            } else {
                j = sumStrip(product, j);
            }
        }
        for (int i = 0; i < m; i++) {
            Rows.finish(product, i, 0, n, sums, i * n);
        }
        Reference.reachabilityFence(product); // memory that a garbage collector frees must outlive the loads
    }

    private void locate(TensorView b) {
        MemorySegment segment = HostAddress.segment(b);
        boolean isNative = segment.isNative();
        memory = isNative ? ALL_MEMORY : segment;
        origin = isNative ? HostAddress.of(b) - b.byteOffset() : 0;
    }

    private void readA(Product product) {
        TensorView a = product.a();
        int m = product.m();
        int k = product.k();
        if (x.length < m * k) {
            x = new float[m * k];
        }
        int size = a.dtype().byteSize();
        for (int i = 0; i < m; i++) {
            long from = product.transA() ? a.byteOffset() + (long) i * size : a.rowOffset(i);
            Rows.read(a, from, product.transA() ? a.pitch() * size : size, k, x, i * k, 1);
        }
    }

    /** Columns j to j + 4 (or to the last) of the result: dot products with rows of b. */
    private int dotStrip(Product product, int j) {
        TensorView b = product.b();
        int n = product.n();
        int k = product.k();
        int end = Math.min(n, j + STRIP);
        int bulk = F.loopBound(k);
        boolean f32 = b.dtype() == DType.F32;
        MemorySegment segment = memory;
        // a strip that is not full repeats its last row
        long b0 = origin + b.rowOffset(j);
        long b1 = origin + b.rowOffset(Math.min(end - 1, j + 1));
        long b2 = origin + b.rowOffset(Math.min(end - 1, j + 2));
        long b3 = origin + b.rowOffset(Math.min(end - 1, j + 3));
        for (int i = 0; i < product.m(); i++) {
            if (f32) {
                dotF32(segment, b0, b1, b2, b3, i * k, bulk);
            } else {
                dotBf16(segment, b0, b1, b2, b3, i * k, bulk);
            }
            for (int row = j; row < end; row++) {
                float sum = strip[row - j];
                long at = origin + b.rowOffset(row);
                for (int p = bulk; p < k; p++) {
                    sum = Math.fma(x[i * k + p], element(segment, f32, at, p), sum);
                }
                sums[i * n + row] = sum;
            }
        }
        return end;
    }

    private void dotF32(MemorySegment b, long b0, long b1, long b2, long b3, int x0, int k) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        for (int p = 0; p < k; p += VL) {
            FloatVector xp = FloatVector.fromArray(F, x, x0 + p);
            long at = 4L * p;
            s0 = xp.fma(Rows.loadF32(b, b0 + at), s0);
            s1 = xp.fma(Rows.loadF32(b, b1 + at), s1);
            s2 = xp.fma(Rows.loadF32(b, b2 + at), s2);
            s3 = xp.fma(Rows.loadF32(b, b3 + at), s3);
        }
        sumLanes(s0, s1, s2, s3);
    }

    private void dotBf16(MemorySegment b, long b0, long b1, long b2, long b3, int x0, int k) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        for (int p = 0; p < k; p += VL) {
            FloatVector xp = FloatVector.fromArray(F, x, x0 + p);
            long at = 2L * p;
            s0 = xp.fma(Rows.loadBf16(b, b0 + at), s0);
            s1 = xp.fma(Rows.loadBf16(b, b1 + at), s1);
            s2 = xp.fma(Rows.loadBf16(b, b2 + at), s2);
            s3 = xp.fma(Rows.loadBf16(b, b3 + at), s3);
        }
        sumLanes(s0, s1, s2, s3);
    }

    /** In a fixed order: {@code reduceLanes} may add in any, and in another one once the code is compiled. */
    private void sumLanes(FloatVector s0, FloatVector s1, FloatVector s2, FloatVector s3) {
        for (int i = FOLDS.length - 1; i >= 0; i--) {
            VectorShuffle<Float> fold = FOLDS[i];
            s0 = s0.add(s0.rearrange(fold));
            s1 = s1.add(s1.rearrange(fold));
            s2 = s2.add(s2.rearrange(fold));
            s3 = s3.add(s3.rearrange(fold));
        }
        strip[0] = s0.lane(0);
        strip[1] = s1.lane(0);
        strip[2] = s2.lane(0);
        strip[3] = s3.lane(0);
    }

    /** Columns j to j + 4 vectors (or fewer) of the result: rows of b, each times its element of a. */
    private int sumStrip(Product product, int j) {
        TensorView b = product.b();
        int n = product.n();
        int k = product.k();
        boolean f32 = b.dtype() == DType.F32;
        MemorySegment segment = memory;
        long size = b.dtype().byteSize();
        long from = origin + b.byteOffset() + j * size;
        long step = b.pitch() * size;
        boolean full = n - j >= STRIP * VL;
        int end = full ? j + STRIP * VL : Math.min(n, j + VL);
        for (int i = 0; i < product.m(); i++) {
            int to = i * n + j;
            if (full && f32) {
                sumF32(segment, from, step, i * k, k, to);
            } else if (full) {
                sumBf16(segment, from, step, i * k, k, to);
            } else {
                for (int col = 0; col < end - j; col++) {
                    float sum = 0;
                    for (int p = 0; p < k; p++) {
                        sum = Math.fma(x[i * k + p], element(segment, f32, from + p * step, col), sum);
                    }
                    sums[to + col] = sum;
                }
            }
        }
        return end;
    }

    private void sumF32(MemorySegment b, long from, long step, int x0, int k, int to) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        long vector = 4L * VL;
        for (int p = 0; p < k; p++) {
            FloatVector xp = FloatVector.broadcast(F, x[x0 + p]);
            long at = from + p * step;
            s0 = xp.fma(Rows.loadF32(b, at), s0);
            s1 = xp.fma(Rows.loadF32(b, at + vector), s1);
            s2 = xp.fma(Rows.loadF32(b, at + 2 * vector), s2);
            s3 = xp.fma(Rows.loadF32(b, at + 3 * vector), s3);
        }
        storeSums(s0, s1, s2, s3, to);
    }

    private void sumBf16(MemorySegment b, long from, long step, int x0, int k, int to) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        long vector = 2L * VL;
        for (int p = 0; p < k; p++) {
            FloatVector xp = FloatVector.broadcast(F, x[x0 + p]);
            long at = from + p * step;
            s0 = xp.fma(Rows.loadBf16(b, at), s0);
            s1 = xp.fma(Rows.loadBf16(b, at + vector), s1);
            s2 = xp.fma(Rows.loadBf16(b, at + 2 * vector), s2);
            s3 = xp.fma(Rows.loadBf16(b, at + 3 * vector), s3);
        }
        storeSums(s0, s1, s2, s3, to);
    }

    private void storeSums(FloatVector s0, FloatVector s1, FloatVector s2, FloatVector s3, int to) {
        s0.intoArray(sums, to);
        s1.intoArray(sums, to + VL);
        s2.intoArray(sums, to + 2 * VL);
        s3.intoArray(sums, to + 3 * VL);
    }

    private static float element(MemorySegment b, boolean f32, long from, int index) {
        return f32 ? b.get(Rows.F32, from + 4L * index) : BFloat16.toFloat(b.get(Rows.BF16, from + 2L * index));
    }
}
