package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/**
 * Root-mean-square normalisation by rows; x, y [M, d], w [1, d], rstd F32 [1, M].
 *
 * <pre>
 *   forward    rstd = 1 / √(mean(x²) + ε),  y = x · rstd · w
 *   backward   g = dy · w,  dx = rstd · (g - x · rstd² · mean(g · x)),  dw += Σ dy · x · rstd
 * </pre>
 */
public final class RmsNorm {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    /** Rows whose contributions to dw are summed up before they are added: short sums of short sums lose less. */
    private static final int ROWS_PER_PARTIAL_SUM = 64;

    private RmsNorm() {}

    public static void forward(Workbench bench, TensorView x, TensorView weight, float epsilon, Tensor y, Tensor rstd) {
        int d = x.cols();
        bench.forRows(x.rows(), d, (from, to, worker) -> {
            float[] w = bench.scratch.floats(worker, 0, d);
            float[] row = bench.scratch.floats(worker, 1, d);
            Rows.load(weight, 0, w);
            for (int m = from; m < to; m++) {
                Rows.load(x, m, row);
                FloatRows.clearPadding(row, d);
                float scale = (float) (1 / Math.sqrt(FloatRows.dot(row, 0, row, d) / d + epsilon));
                scaleBy(row, w, scale, d);
                Rows.store(row, y, m);
                Rows.setFloat(rstd, 0, m, scale);
            }
        });
    }

    public static void backward(
            Workbench bench,
            TensorView dy,
            TensorView x,
            TensorView weight,
            TensorView rstd,
            Tensor dx,
            boolean accumulate,
            @Nullable Tensor weightGradient) {
        if (weightGradient != null) { // before dx, which may lie where dy does
            weightGradient(bench, dy, x, rstd, weightGradient);
        }
        int d = x.cols();
        bench.forRows(x.rows(), d, (from, to, worker) -> {
            float[] w = bench.scratch.floats(worker, 0, d);
            float[] xRow = bench.scratch.floats(worker, 1, d);
            float[] g = bench.scratch.floats(worker, 2, d);
            float[] old = bench.scratch.floats(worker, 3, accumulate ? d : 1);
            Rows.load(weight, 0, w);
            FloatRows.clearPadding(w, d);
            for (int m = from; m < to; m++) {
                Rows.load(x, m, xRow);
                Rows.load(dy, m, g);
                FloatRows.clearPadding(xRow, d);
                FloatRows.clearPadding(g, d);
                float scale = Rows.getFloat(rstd, 0, m);
                scaleBy(g, w, 1, d);
                float pull = scale * scale * (FloatRows.dot(g, 0, xRow, d) / d);
                inputGradient(g, xRow, scale, pull, d);
                if (accumulate) {
                    Rows.load(dx, m, old);
                    FloatRows.add(g, old, d);
                }
                Rows.store(g, dx, m);
            }
        });
    }

    private static void weightGradient(
            Workbench bench, TensorView dy, TensorView x, TensorView rstd, Tensor weightGradient) {
        int rows = x.rows();
        bench.forColumns(rows, x.cols(), (from, to, worker) -> {
            int n = to - from;
            float[] sum = bench.scratch.floats(worker, 0, n);
            float[] part = bench.scratch.floats(worker, 1, n);
            float[] xRow = bench.scratch.floats(worker, 2, n);
            float[] dyRow = bench.scratch.floats(worker, 3, n);
            Rows.load(weightGradient, 0, from, n, sum, 0);
            for (int first = 0; first < rows; first += ROWS_PER_PARTIAL_SUM) {
                Arrays.fill(part, 0, Lanes.roundUp(n), 0);
                for (int m = first; m < Math.min(rows, first + ROWS_PER_PARTIAL_SUM); m++) {
                    Rows.load(x, m, from, n, xRow, 0);
                    Rows.load(dy, m, from, n, dyRow, 0);
                    addProduct(part, dyRow, xRow, Rows.getFloat(rstd, 0, m), n);
                }
                FloatRows.add(sum, part, n);
            }
            Rows.store(sum, 0, weightGradient, 0, from, n);
        });
    }

    /** row = row · scale · w. */
    private static void scaleBy(float[] row, float[] w, float scale, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, row, i)
                    .mul(scale)
                    .mul(FloatVector.fromArray(F, w, i))
                    .intoArray(row, i);
        }
    }

    /** g = rstd · (g - x · pull). */
    private static void inputGradient(float[] g, float[] x, float rstd, float pull, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, g, i)
                    .sub(FloatVector.fromArray(F, x, i).mul(pull))
                    .mul(rstd)
                    .intoArray(g, i);
        }
    }

    /** sum += dy · x · rstd. */
    private static void addProduct(float[] sum, float[] dy, float[] x, float rstd, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, x, i)
                    .mul(rstd)
                    .fma(FloatVector.fromArray(F, dy, i), FloatVector.fromArray(F, sum, i))
                    .intoArray(sum, i);
        }
    }
}
