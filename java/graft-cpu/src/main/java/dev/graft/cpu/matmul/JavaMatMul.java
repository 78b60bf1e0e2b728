package dev.graft.cpu.matmul;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Matrix products in plain Java, for machines without oneDNN. Blocks of a and b are packed as float32 into small arrays that
 * stay in the cache, in the order in which the kernel reads them; the kernel keeps a tile of 4 rows × 2 vectors of sums in
 * registers. This is the classic scheme of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).
 */
public final class JavaMatMul implements MatMul {
    private final WorkerPool pool;
    private final Block[] blocks;
    private final FewRows[] fewRows;

    public JavaMatMul(WorkerPool pool) {
        this.pool = pool;
        blocks = new Block[pool.size()];
        Arrays.setAll(blocks, worker -> new Block());
        fewRows = new FewRows[pool.size()];
        Arrays.setAll(fewRows, worker -> new FewRows());
    }

    @Override
    public boolean supportsBf16() {
        return false;
    }

    @Override
    public String description() {
        return "plain Java on " + pool.size() + (pool.size() == 1 ? " thread" : " threads");
    }

    @Override
    public void multiply(Product product) {
        TileGrid.run(pool, product, (tile, worker) -> multiplyOn(worker, tile));
    }

    @Override
    public void multiplyOn(int worker, Product product) {
        if (product.m() <= FewRows.MAX_ROWS) {
            fewRows[worker].compute(product);
            return;
        }
        Block block = blocks[worker];
        for (int i0 = 0; i0 < product.m(); i0 += Block.MC) {
            for (int j0 = 0; j0 < product.n(); j0 += Block.NC) {
                block.compute(product, i0, j0);
            }
        }
    }

    @Override
    public void close() {
        // holds nothing but Java arrays
    }

    /** One worker's buffers and the computation of one block of c. */
    private static final class Block {
        static final int MC = 128;
        static final int NC = 256;
        private static final int KC = 256;

        private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
        private static final int VL = SPECIES.length();
        private static final int MR = 4;
        private static final int NR = 2 * VL; // divides NC for every vector length up to 128

        private final float[] packedA = new float[MC * KC]; // strips of MR rows, column by column
        private final float[] packedB = new float[KC * NC]; // strips of NR columns, row by row
        private final float[] sums = new float[MC * NC];

        /** c[i0.., j0..], at most MC × NC of it. */
        void compute(Product product, int i0, int j0) {
            int mc = Math.min(MC, product.m() - i0);
            int nc = Math.min(NC, product.n() - j0);
            Arrays.fill(sums, 0);
            for (int k0 = 0; k0 < product.k(); k0 += KC) {
                int kc = Math.min(KC, product.k() - k0);
                pack(product.a(), product.transA(), i0, mc, k0, kc, MR, packedA);
                pack(product.b(), !product.transB(), j0, nc, k0, kc, NR, packedB);
                for (int j = 0; j < nc; j += NR) {
                    for (int i = 0; i < mc; i += MR) {
                        multiplyStrips(i, j, kc);
                    }
                }
            }
            for (int i = 0; i < mc; i++) {
                Rows.finish(product, i0 + i, j0, nc, sums, i * NC);
            }
        }

        /**
         * Packs {@code count} vectors of length kc in strips of {@code width}: the strip that holds vector v starts at
         * {@code v / width * width * kc}, and has one element of each of its vectors after the other. Vectors past the last are
         * zero.
         *
         * @param alongColumns whether a vector is a column of the matrix in memory rather than a row
         */
        private static void pack(
                TensorView x, boolean alongColumns, int first, int count, int k0, int kc, int width, float[] packed) {
            int size = x.dtype().byteSize();
            long pitch = x.pitch() * size;
            long vectorStep = alongColumns ? size : pitch;
            long elementStep = alongColumns ? pitch : size;
            long origin = x.byteOffset() + first * vectorStep + k0 * elementStep;
            for (int v = 0; v < count; v++) {
                int to = v / width * width * kc + v % width;
                Rows.read(x, origin + v * vectorStep, elementStep, kc, packed, to, width);
            }
            for (int v = count; v % width != 0; v++) {
                int to = v / width * width * kc + v % width;
                for (int p = 0; p < kc; p++) {
                    packed[to + p * width] = 0;
                }
            }
        }

        /** sums[i..i+4, j..j+NR] += strip of a · strip of b; 8 independent sums hide the latency of a multiply-add. */
        private void multiplyStrips(int i, int j, int kc) {
            int s0 = i * NC + j;
            int s1 = s0 + NC;
            int s2 = s1 + NC;
            int s3 = s2 + NC;
            FloatVector c00 = FloatVector.fromArray(SPECIES, sums, s0);
            FloatVector c01 = FloatVector.fromArray(SPECIES, sums, s0 + VL);
            FloatVector c10 = FloatVector.fromArray(SPECIES, sums, s1);
            FloatVector c11 = FloatVector.fromArray(SPECIES, sums, s1 + VL);
            FloatVector c20 = FloatVector.fromArray(SPECIES, sums, s2);
            FloatVector c21 = FloatVector.fromArray(SPECIES, sums, s2 + VL);
            FloatVector c30 = FloatVector.fromArray(SPECIES, sums, s3);
            FloatVector c31 = FloatVector.fromArray(SPECIES, sums, s3 + VL);
            int a = i * kc;
            int b = j * kc;
            for (int p = 0; p < kc; p++, a += MR, b += NR) {
                FloatVector b0 = FloatVector.fromArray(SPECIES, packedB, b);
                FloatVector b1 = FloatVector.fromArray(SPECIES, packedB, b + VL);
                FloatVector a0 = FloatVector.broadcast(SPECIES, packedA[a]);
                c00 = a0.fma(b0, c00);
                c01 = a0.fma(b1, c01);
                FloatVector a1 = FloatVector.broadcast(SPECIES, packedA[a + 1]);
                c10 = a1.fma(b0, c10);
                c11 = a1.fma(b1, c11);
                FloatVector a2 = FloatVector.broadcast(SPECIES, packedA[a + 2]);
                c20 = a2.fma(b0, c20);
                c21 = a2.fma(b1, c21);
                FloatVector a3 = FloatVector.broadcast(SPECIES, packedA[a + 3]);
                c30 = a3.fma(b0, c30);
                c31 = a3.fma(b1, c31);
            }
            c00.intoArray(sums, s0);
            c01.intoArray(sums, s0 + VL);
            c10.intoArray(sums, s1);
            c11.intoArray(sums, s1 + VL);
            c20.intoArray(sums, s2);
            c21.intoArray(sums, s2 + VL);
            c30.intoArray(sums, s3);
            c31.intoArray(sums, s3 + VL);
        }
    }
}
