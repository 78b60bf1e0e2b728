package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Rotary position embedding in place; x [M, heads · D], cosSin F32 [positions, D], positions I32 [1, M]. Element i of a head is
 * paired with element i + D/2, as Hugging Face's Llama does.
 *
 * <pre>
 *   forward    x₁ ← x₁ cos - x₂ sin,  x₂ ← x₂ cos + x₁ sin
 *   backward   the same with -sin
 * </pre>
 */
public final class Rope {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    private Rope() {}

    public static void rotate(
            Workbench bench, Tensor x, TensorView cosSin, TensorView positions, int headDim, boolean inverse) {
        int cols = x.cols();
        int half = headDim / 2;
        bench.forRows(x.rows(), cols, (from, to, worker) -> {
            float[] row = bench.scratch.floats(worker, 0, cols);
            float[] cos = bench.scratch.floats(worker, 1, half);
            float[] sin = bench.scratch.floats(worker, 2, half);
            for (int m = from; m < to; m++) {
                int position = Indices.get("rope", positions, m, cosSin.rows());
                Rows.load(cosSin, position, 0, half, cos, 0);
                Rows.load(cosSin, position, half, half, sin, 0);
                if (inverse) {
                    negate(sin, half);
                }
                Rows.load(x, m, row);
                for (int head = 0; head < cols; head += headDim) {
                    rotateHead(row, head, half, cos, sin);
                }
                Rows.store(row, x, m);
            }
        });
    }

    private static void negate(float[] values, int n) {
        for (int i = 0; i < n; i++) {
            values[i] = -values[i];
        }
    }

    private static void rotateHead(float[] row, int head, int half, float[] cos, float[] sin) {
        int bound = F.loopBound(half);
        for (int i = 0; i < bound; i += Lanes.COUNT) {
            FloatVector x1 = FloatVector.fromArray(F, row, head + i);
            FloatVector x2 = FloatVector.fromArray(F, row, head + half + i);
            FloatVector c = FloatVector.fromArray(F, cos, i);
            FloatVector s = FloatVector.fromArray(F, sin, i);
            x1.mul(c).sub(x2.mul(s)).intoArray(row, head + i);
            x2.mul(c).add(x1.mul(s)).intoArray(row, head + half + i);
        }
        for (int i = bound; i < half; i++) { // the vectors' arithmetic, so that no bit depends on their width
            float x1 = row[head + i];
            float x2 = row[head + half + i];
            row[head + i] = x1 * cos[i] - x2 * sin[i];
            row[head + half + i] = x2 * cos[i] + x1 * sin[i];
        }
    }
}
