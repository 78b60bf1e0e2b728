package dev.graft.cpu.kernels;

import dev.graft.engine.Dropout;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Dropout of a LoRA module's input, drawn from {@link Dropout} and never stored; x [n, K] are rows {@code firstRow} and following
 * of the micro-batch.
 *
 * <pre>
 *   forward    dropped = x · keep / (1 - p)
 *   backward   dx += g · keep / (1 - p)
 *   apply      y (= or +=) x · keep / (1 - p), or x less that; rows counted from x's first
 * </pre>
 */
public final class LoraDropout {
    private LoraDropout() {}

    static void forward(Workbench bench, Dropout dropout, TensorView x, int firstRow, Tensor dropped) {
        bench.forChunks(x.rows(), x.cols(), (row, from, n, worker) -> {
            float[] values = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            Rows.load(x, row, from, n, values, 0);
            mask(bench, worker, dropout, (long) (firstRow + row) * x.cols() + from, n, values);
            Rows.store(values, 0, dropped, row, from, n);
        });
    }

    static void backward(Workbench bench, Dropout dropout, TensorView g, int firstRow, Tensor dx) {
        bench.forChunks(g.rows(), g.cols(), (row, from, n, worker) -> {
            float[] values = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] sum = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            Rows.load(g, row, from, n, values, 0);
            mask(bench, worker, dropout, (long) (firstRow + row) * g.cols() + from, n, values);
            Rows.load(dx, row, from, n, sum, 0);
            FloatRows.add(sum, values, n);
            Rows.store(sum, 0, dx, row, from, n);
        });
    }

    /** y may be x where it is not added to. */
    public static void apply(
            Workbench bench, Dropout dropout, TensorView x, boolean complement, boolean accumulate, Tensor y) {
        bench.forChunks(x.rows(), x.cols(), (row, from, n, worker) -> {
            float[] values = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] other = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            Rows.load(x, row, from, n, values, 0);
            System.arraycopy(values, 0, other, 0, n);
            mask(bench, worker, dropout, (long) row * x.cols() + from, n, values);
            if (complement) {
                FloatRows.addScaled(other, 0, -1, values, n);
                System.arraycopy(other, 0, values, 0, n);
            }
            if (accumulate) {
                Rows.load(y, row, from, n, other, 0);
                FloatRows.add(values, other, n);
            }
            Rows.store(values, 0, y, row, from, n);
        });
    }

    /** values[j] ·= keep / (1 - p), where values[0] is element {@code first} of the micro-batch's [M, K]. */
    private static void mask(Workbench bench, int worker, Dropout dropout, long first, int n, float[] values) {
        long counter = first / 4;
        int skipped = (int) (first % 4);
        int[] words = bench.scratch.words(worker, PhiloxLanes.words(Workbench.CHUNK / 4 + 1) + Lanes.COUNT);
        PhiloxLanes.fill(dropout, counter, (skipped + n + 3) / 4, words);
        float scale = 1 / (1 - dropout.probability());
        // (word >>> 8) · 2⁻²⁴ ≥ p, in integers
        int least = (int) Math.ceil(dropout.probability() * 0x1.0p24);
        for (int i = 0; i < n; i += Lanes.COUNT) {
            IntVector uniform =
                    IntVector.fromArray(Lanes.INT, words, skipped + i).lanewise(VectorOperators.LSHR, 8);
            var dropped = uniform.compare(VectorOperators.LT, least).cast(Lanes.FLOAT);
            FloatVector.fromArray(Lanes.FLOAT, values, i)
                    .mul(scale)
                    .blend(0f, dropped)
                    .intoArray(values, i);
        }
    }
}
