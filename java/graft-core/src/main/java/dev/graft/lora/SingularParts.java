package dev.graft.lora;

import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.EigenDecomposition_F64;

/**
 * The leading singular values and vectors of a matrix: {@code W ≈ U diag(σ) Vᵀ}.
 *
 * @param values σ, descending
 * @param left U [rows, r] row by row
 * @param right V [cols, r]
 */
record SingularParts(double[] values, double[] left, double[] right) {

    /**
     * The {@code rank} leading ones, by the eigenvectors of the smaller of W Wᵀ and Wᵀ W in float64. Squaring halves the digits, so
     * σ is right to float32's for all that are above 1e-4 of the largest; smaller ones are noise beside those.
     */
    static SingularParts exact(HostMatrix w, int rank) {
        if (w.rows() > w.cols()) {
            SingularParts turned = exact(w.transposed(), rank);
            return new SingularParts(turned.values, turned.right, turned.left);
        }
        return ofGram(w.gram(), w.rows(), rank, left -> w.transposeTimes(left, rank));
    }

    /**
     * Nearly the {@code rank} leading ones, as {@code torch.svd_lowrank} finds them: W and its transpose are applied in turn to
     * random directions, which turns these towards the leading ones. Source: Halko et al., "Finding structure with randomness"
     * (2009), algorithm 4.4.
     *
     * @param stream of random numbers of its own
     */
    static SingularParts randomised(HostMatrix w, int rank, int iterations, long seed, int stream) {
        if (w.rows() < w.cols()) {
            SingularParts turned = randomised(w.transposed(), rank, iterations, seed, stream);
            return new SingularParts(turned.values, turned.right, turned.left);
        }
        double[] x = directions(w.cols() * rank, seed, stream);
        double[] q = Householder.orthonormal(w.times(x, rank), w.rows(), rank);
        for (int i = 0; i < iterations; i++) {
            x = Householder.orthonormal(w.transposeTimes(q, rank), w.cols(), rank);
            q = Householder.orthonormal(w.times(x, rank), w.rows(), rank);
        }
        return within(w, q, rank);
    }

    private static double[] directions(int count, long seed, int stream) {
        float[] normal = RandomFill.normal(seed, RandomPurpose.INITIALISE_A, stream, count, 1);
        double[] directions = new double[count];
        for (int i = 0; i < count; i++) {
            directions[i] = normal[i];
        }
        return directions;
    }

    /** The singular parts of {@code Q Qᵀ W}, by the eigenvectors of the small {@code (Qᵀ W)(Qᵀ W)ᵀ}. */
    private static SingularParts within(HostMatrix w, double[] q, int rank) {
        double[] projected = w.transposeTimes(q, rank); // (Qᵀ W)ᵀ [cols, rank]
        double[] gram = product(projected, projected, w.cols(), rank);
        SingularParts small = ofGram(gram, rank, rank, left -> timesSquare(projected, w.cols(), left, rank));
        return new SingularParts(small.values, timesSquare(q, w.rows(), small.left, rank), small.right);
    }

    /** What follows from {@code M Mᵀ} [n, n]: its leading eigenvectors are U, their eigenvalues σ², and {@code V = Mᵀ U / σ}. */
    private static SingularParts ofGram(double[] gram, int n, int rank, Transpose transpose) {
        DMatrixRMaj matrix = DMatrixRMaj.wrap(n, n, gram);
        EigenDecomposition_F64<DMatrixRMaj> eigen = DecompositionFactory_DDRM.eig(n, true, true);
        if (!eigen.decompose(matrix)) {
            throw new IllegalStateException("no eigenvalues of a symmetric matrix of " + n + " rows were found");
        }
        List<Integer> order = IntStream.range(0, n)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -eigen.getEigenvalue(i).getReal()))
                .toList();
        double[] values = new double[rank];
        double[] left = new double[n * rank];
        for (int i = 0; i < rank; i++) {
            int index = order.get(i);
            values[i] = Math.sqrt(Math.max(0, eigen.getEigenvalue(index).getReal()));
            DMatrixRMaj vector = eigen.getEigenVector(index);
            for (int row = 0; row < n; row++) {
                left[row * rank + i] = vector.get(row);
            }
        }
        double[] right = transpose.times(left);
        for (int i = 0; i < right.length; i++) {
            double value = values[i % rank];
            right[i] = value == 0 ? 0 : right[i] / value;
        }
        return new SingularParts(values, left, right);
    }

    /** {@code Mᵀ U}. */
    private interface Transpose {
        double[] times(double[] left);
    }

    /** {@code Xᵀ Y} [width, width] of two [rows, width]. */
    private static double[] product(double[] x, double[] y, int rows, int width) {
        double[] product = new double[width * width];
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < width; i++) {
                for (int j = 0; j < width; j++) {
                    product[i * width + j] += x[row * width + i] * y[row * width + j];
                }
            }
        }
        return product;
    }

    /** {@code X M}; X [rows, width], M [width, width]. */
    private static double[] timesSquare(double[] x, int rows, double[] square, int width) {
        double[] y = new double[rows * width];
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < width; i++) {
                for (int j = 0; j < width; j++) {
                    y[row * width + j] += x[row * width + i] * square[i * width + j];
                }
            }
        }
        return y;
    }
}
