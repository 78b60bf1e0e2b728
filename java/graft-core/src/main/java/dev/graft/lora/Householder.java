package dev.graft.lora;

/** Orthonormal bases by Householder reflections, with the signs of LAPACK's {@code geqrf}, which {@code torch.linalg.qr} has too. */
final class Householder {
    private Householder() {}

    /**
     * Q [rows, cols] of {@code X = QR}.
     *
     * @param x [rows, cols] row by row, with at least as many rows as columns; kept
     */
    static double[] orthonormal(double[] x, int rows, int cols) {
        double[] work = x.clone();
        double[] scales = new double[cols];
        for (int j = 0; j < cols; j++) {
            scales[j] = makeReflection(work, rows, cols, j);
            reflect(work, work, rows, cols, j, j + 1, scales[j]);
        }
        double[] q = new double[rows * cols];
        for (int j = cols - 1; j >= 0; j--) {
            q[j * cols + j] = 1;
            reflect(work, q, rows, cols, j, j, scales[j]);
        }
        return q;
    }

    /**
     * Makes the reflection {@code I - τ v vᵀ} that zeroes column j below the diagonal, where it leaves v from row j + 1 on; v is 1
     * in row j.
     *
     * @return τ
     */
    private static double makeReflection(double[] work, int rows, int cols, int j) {
        double below = 0;
        for (int row = j + 1; row < rows; row++) {
            below += work[row * cols + j] * work[row * cols + j];
        }
        if (below == 0) {
            return 0;
        }
        double alpha = work[j * cols + j];
        double beta = -Math.copySign(Math.sqrt(alpha * alpha + below), alpha);
        for (int row = j + 1; row < rows; row++) {
            work[row * cols + j] /= alpha - beta;
        }
        return (beta - alpha) / beta;
    }

    /** Applies reflection j, whose v stands in {@code work}, to the columns of {@code target} from {@code first} on. */
    private static void reflect(double[] work, double[] target, int rows, int cols, int j, int first, double scale) {
        double[] dots = new double[cols];
        for (int row = j; row < rows; row++) {
            double v = row == j ? 1 : work[row * cols + j];
            for (int col = first; col < cols; col++) {
                dots[col] += v * target[row * cols + col];
            }
        }
        for (int row = j; row < rows; row++) {
            double factor = scale * (row == j ? 1 : work[row * cols + j]);
            for (int col = first; col < cols; col++) {
                target[row * cols + col] -= factor * dots[col];
            }
        }
    }
}
