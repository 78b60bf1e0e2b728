package dev.graft.benchmarks.gpu;

import dev.graft.engine.LoraTerm;
import dev.graft.tensor.TensorView;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * How far a layer's results are from float64 arithmetic on the same inputs, as {@code ‖out - ref‖ / ‖ref‖} over a sample of the
 * entries: bf16 results lie between 1e-3 and 1e-2, float32 ones under 1e-5.
 *
 * @param y output
 * @param dx gradient of the input
 * @param dA gradient of A
 * @param dB gradient of B
 */
record LoraErrors(double y, double dx, double dA, double dB) {
    private static final int SAMPLED_ROWS = 4;
    private static final int SAMPLED_COLS = 256;

    /** Runs {@code layer}, whose adapters' gradients are still zero, once forward and backward. */
    static LoraErrors of(LoraLayer layer) {
        layer.forward();
        layer.backward();
        RelativeError y = new RelativeError();
        RelativeError dA = new RelativeError();
        RelativeError dB = new RelativeError();
        for (LoraLayer.Part part : layer.parts()) {
            addOutput(layer, part, y);
            addGradients(layer, part, dA, dB);
        }
        RelativeError dx = new RelativeError();
        addInputGradient(layer, dx);
        return new LoraErrors(y.value(), dx.value(), dA.value(), dB.value());
    }

    /** {@code y[m, n] = Σₖ x[m, k] W[n, k] + Σⱼ h[m, j] B[n, j]}. */
    private static void addOutput(LoraLayer layer, LoraLayer.Part part, RelativeError error) {
        LoraLayer.Adapter adapter = Objects.requireNonNull(part.adapter());
        for (int m : sample(layer.rows(), SAMPLED_ROWS)) {
            float[] actual = row(layer, part.y(), m);
            double[] h = IntStream.range(0, adapter.a().rows())
                    .mapToDouble(j -> hidden(layer, adapter, m, j))
                    .toArray();
            for (int n : sample(part.weight().rows(), SAMPLED_COLS)) {
                double sum = 0;
                for (int k = 0; k < part.weight().cols(); k++) {
                    sum += layer.x().at(m, k) * part.weight().at(n, k);
                }
                for (int j = 0; j < h.length; j++) {
                    sum += h[j] * adapter.b().at(n, j);
                }
                error.add(actual[n], sum);
            }
        }
    }

    /** {@code dx[m, k] = Σ over projections of Σₙ dy[m, n] W[n, k] + Σⱼ u[m, j] A[j, k]}. */
    private static void addInputGradient(LoraLayer layer, RelativeError error) {
        int[] cols = sample(layer.x().cols(), SAMPLED_COLS);
        for (int m : sample(layer.rows(), SAMPLED_ROWS)) {
            double[] sums = new double[cols.length];
            for (LoraLayer.Part part : layer.parts()) {
                LoraLayer.Adapter adapter = Objects.requireNonNull(part.adapter());
                for (int n = 0; n < part.weight().rows(); n++) {
                    double dy = part.dy().at(m, n);
                    for (int i = 0; i < cols.length; i++) {
                        sums[i] += dy * part.weight().at(n, cols[i]);
                    }
                }
                for (int j = 0; j < adapter.a().rows(); j++) {
                    double u = hiddenGradient(part, m, j);
                    for (int i = 0; i < cols.length; i++) {
                        sums[i] += u * adapter.a().at(j, cols[i]);
                    }
                }
            }
            float[] actual = row(layer, layer.dx(), m);
            for (int i = 0; i < cols.length; i++) {
                error.add(actual[cols[i]], sums[i]);
            }
        }
    }

    /** {@code dA[j, k] = Σₘ u[m, j] x[m, k]} and {@code dB[n, j] = Σₘ dy[m, n] h[m, j]}, for the first and the last j. */
    private static void addGradients(LoraLayer layer, LoraLayer.Part part, RelativeError dA, RelativeError dB) {
        LoraLayer.Adapter adapter = Objects.requireNonNull(part.adapter());
        LoraTerm.Gradients gradients = Objects.requireNonNull(adapter.term().gradients());
        int rank = adapter.a().rows();
        for (int j : sample(rank, 2)) {
            // both repeat with the rows that they are made of
            double[] u = IntStream.range(0, part.dy().period())
                    .mapToDouble(m -> hiddenGradient(part, m, j))
                    .toArray();
            double[] h = IntStream.range(0, layer.x().period())
                    .mapToDouble(m -> hidden(layer, adapter, m, j))
                    .toArray();
            float[] actualA = row(layer, gradients.a(), j);
            for (int k : sample(layer.x().cols(), SAMPLED_COLS)) {
                dA.add(actualA[k], sum(layer.rows(), u, layer.x(), k));
            }
            for (int n : sample(part.weight().rows(), SAMPLED_COLS)) {
                dB.add(row(layer, gradients.b(), n)[j], sum(layer.rows(), h, part.dy(), n));
            }
        }
    }

    /** {@code Σₘ factor[m] matrix[m, col]}. */
    private static double sum(int rows, double[] factor, RandomMatrix matrix, int col) {
        double sum = 0;
        for (int m = 0; m < rows; m++) {
            sum += factor[m % factor.length] * matrix.at(m, col);
        }
        return sum;
    }

    /** {@code h[m, j] = s Σₖ x[m, k] A[j, k]}. */
    private static double hidden(LoraLayer layer, LoraLayer.Adapter adapter, int m, int j) {
        double sum = 0;
        for (int k = 0; k < layer.x().cols(); k++) {
            sum += layer.x().at(m, k) * adapter.a().at(j, k);
        }
        return LoraLayer.SCALE * sum;
    }

    /** {@code u[m, j] = s Σₙ dy[m, n] B[n, j]}. */
    private static double hiddenGradient(LoraLayer.Part part, int m, int j) {
        RandomMatrix b = Objects.requireNonNull(part.adapter()).b();
        double sum = 0;
        for (int n = 0; n < b.rows(); n++) {
            sum += part.dy().at(m, n) * b.at(n, j);
        }
        return LoraLayer.SCALE * sum;
    }

    private static float[] row(LoraLayer layer, TensorView matrix, int row) {
        return layer.engine().download(matrix.rows(row, row + 1));
    }

    /** At most {@code count} of 0 … size - 1, the first and the last among them. */
    private static int[] sample(int size, int count) {
        int taken = Math.min(size, count);
        return IntStream.range(0, taken)
                .map(i -> taken == 1 ? 0 : (int) ((long) i * (size - 1) / (taken - 1)))
                .toArray();
    }

    boolean isWithin(double bound) {
        return List.of(y, dx, dA, dB).stream().allMatch(error -> error <= bound);
    }
}
