package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/**
 * What DoRA does around a linear layer; z, y, dy, dz [M, N], m, n, dm F32 [1, N].
 *
 * <pre>
 *   row norms  n[i] = √ Σ (W[i, k] + s Σ B[i, j] A[j, k])²
 *   forward    y = z · m / n [+ bias] [+ residual]
 *   backward   dz = dy · m / n,  dm += Σ dy · z / n
 * </pre>
 *
 * Where n is 0, m / n and 1 / n count as 0.
 */
public final class Rescale {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    /** Rows of W that are treated at once, so that each vector of A is loaded once for all of them. */
    private static final int ROWS = 4;

    /** Rows whose contributions to dm are summed up before they are added. */
    private static final int ROWS_PER_PARTIAL_SUM = 64;

    private Rescale() {}

    // ---- row norms

    public static void rowNorms(
            Workbench bench, TensorView weight, TensorView a, TensorView b, float scale, Tensor norms) {
        int k = weight.cols();
        int rank = a.rows();
        int padded = Lanes.roundUp(k);
        int blocks = Math.ceilDiv(weight.rows(), ROWS);
        bench.forRows(blocks, ROWS * k * (1 + rank), (from, to, worker) -> {
            float[] w = bench.scratch.floats(worker, 0, ROWS * padded);
            float[] own = bench.scratch.floats(worker, 1, ROWS * rank);
            float[] squares = bench.scratch.floats(worker, 2, ROWS);
            float[] factor = bench.scratch.floats(worker, 3, rank * padded);
            Arrays.fill(factor, 0, rank * padded, 0);
            for (int j = 0; j < rank; j++) {
                Rows.load(a, j, 0, k, factor, j * padded);
            }
            for (int block = from; block < to; block++) {
                int first = block * ROWS;
                int n = Math.min(ROWS, weight.rows() - first);
                Arrays.fill(w, 0, ROWS * padded, 0);
                Arrays.fill(own, 0, ROWS * rank, 0);
                for (int row = 0; row < n; row++) {
                    Rows.load(weight, first + row, 0, k, w, row * padded);
                    Rows.load(b, first + row, 0, rank, own, row * rank);
                }
                sumSquares(w, own, factor, rank, scale, padded, squares);
                for (int row = 0; row < n; row++) {
                    Rows.setFloat(norms, 0, first + row, (float) Math.sqrt(squares[row]));
                }
            }
        });
    }

    /** squares[i] = Σ (w[i] + s b[i] A)² of ROWS rows; padding is 0 everywhere. */
    private static void sumSquares(
            float[] w, float[] b, float[] a, int rank, float scale, int padded, float[] squares) {
        FloatVector sum0 = FloatVector.zero(F);
        FloatVector sum1 = FloatVector.zero(F);
        FloatVector sum2 = FloatVector.zero(F);
        FloatVector sum3 = FloatVector.zero(F);
        for (int i = 0; i < padded; i += Lanes.COUNT) {
            FloatVector delta0 = FloatVector.zero(F);
            FloatVector delta1 = FloatVector.zero(F);
            FloatVector delta2 = FloatVector.zero(F);
            FloatVector delta3 = FloatVector.zero(F);
            for (int j = 0; j < rank; j++) {
                FloatVector row = FloatVector.fromArray(F, a, j * padded + i);
                delta0 = row.fma(FloatVector.broadcast(F, b[j]), delta0);
                delta1 = row.fma(FloatVector.broadcast(F, b[rank + j]), delta1);
                delta2 = row.fma(FloatVector.broadcast(F, b[2 * rank + j]), delta2);
                delta3 = row.fma(FloatVector.broadcast(F, b[3 * rank + j]), delta3);
            }
            FloatVector s = FloatVector.broadcast(F, scale);
            delta0 = delta0.fma(s, FloatVector.fromArray(F, w, i));
            delta1 = delta1.fma(s, FloatVector.fromArray(F, w, padded + i));
            delta2 = delta2.fma(s, FloatVector.fromArray(F, w, 2 * padded + i));
            delta3 = delta3.fma(s, FloatVector.fromArray(F, w, 3 * padded + i));
            sum0 = delta0.fma(delta0, sum0);
            sum1 = delta1.fma(delta1, sum1);
            sum2 = delta2.fma(delta2, sum2);
            sum3 = delta3.fma(delta3, sum3);
        }
        squares[0] = Lanes.sum(sum0);
        squares[1] = Lanes.sum(sum1);
        squares[2] = Lanes.sum(sum2);
        squares[3] = Lanes.sum(sum3);
    }

    // ---- scaling

    /** y may be z, and may be residual. */
    public static void forward(
            Workbench bench,
            TensorView z,
            @Nullable TensorView magnitude,
            @Nullable TensorView norms,
            @Nullable TensorView bias,
            @Nullable TensorView residual,
            Tensor y) {
        bench.forChunks(y.rows(), y.cols(), (row, from, n, worker) -> {
            float[] values = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] other = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            float[] divisor = bench.scratch.floats(worker, 2, Workbench.CHUNK);
            Rows.load(z, row, from, n, values, 0);
            if (magnitude != null && norms != null) {
                Rows.load(magnitude, 0, from, n, other, 0);
                Rows.load(norms, 0, from, n, divisor, 0);
                divide(other, divisor, n);
                multiply(values, other, n);
            }
            if (bias != null) {
                Rows.load(bias, 0, from, n, other, 0);
                FloatRows.add(values, other, n);
            }
            if (residual != null) {
                Rows.load(residual, row, from, n, other, 0);
                FloatRows.add(values, other, n);
            }
            Rows.store(values, 0, y, row, from, n);
        });
    }

    /** dz may be dy or z: each worker has columns of its own and reads an element before it writes it. */
    public static void backward(
            Workbench bench,
            TensorView dy,
            TensorView z,
            TensorView magnitude,
            TensorView norms,
            Tensor dz,
            Tensor magnitudeGradient) {
        int rows = dy.rows();
        bench.forColumns(rows, dy.cols(), (from, to, worker) -> {
            int n = to - from;
            float[] factor = bench.scratch.floats(worker, 0, n);
            float[] divisor = bench.scratch.floats(worker, 1, n);
            float[] sum = bench.scratch.floats(worker, 2, n);
            float[] part = bench.scratch.floats(worker, 3, n);
            float[] dyRow = bench.scratch.floats(worker, 4, n);
            float[] zRow = bench.scratch.floats(worker, 5, n);
            Rows.load(magnitude, 0, from, n, factor, 0);
            Rows.load(norms, 0, from, n, divisor, 0);
            divide(factor, divisor, n);
            Arrays.fill(sum, 0, Lanes.roundUp(n), 0);
            for (int first = 0; first < rows; first += ROWS_PER_PARTIAL_SUM) {
                Arrays.fill(part, 0, Lanes.roundUp(n), 0);
                for (int row = first; row < Math.min(rows, first + ROWS_PER_PARTIAL_SUM); row++) {
                    Rows.load(dy, row, from, n, dyRow, 0);
                    Rows.load(z, row, from, n, zRow, 0);
                    addProduct(part, dyRow, zRow, n);
                    multiply(dyRow, factor, n);
                    Rows.store(dyRow, 0, dz, row, from, n);
                }
                FloatRows.add(sum, part, n);
            }
            divide(sum, divisor, n);
            Rows.load(magnitudeGradient, 0, from, n, part, 0);
            FloatRows.add(part, sum, n);
            Rows.store(part, 0, magnitudeGradient, 0, from, n);
        });
    }

    /** a = a / b, and 0 where b is 0. */
    private static void divide(float[] a, float[] b, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector divisor = FloatVector.fromArray(F, b, i);
            FloatVector.fromArray(F, a, i)
                    .div(divisor)
                    .blend(0f, divisor.compare(VectorOperators.EQ, 0f))
                    .intoArray(a, i);
        }
    }

    /** a = a · b. */
    private static void multiply(float[] a, float[] b, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, a, i).mul(FloatVector.fromArray(F, b, i)).intoArray(a, i);
        }
    }

    /** sum += a · b. */
    private static void addProduct(float[] sum, float[] a, float[] b, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, a, i)
                    .fma(FloatVector.fromArray(F, b, i), FloatVector.fromArray(F, sum, i))
                    .intoArray(sum, i);
        }
    }
}
