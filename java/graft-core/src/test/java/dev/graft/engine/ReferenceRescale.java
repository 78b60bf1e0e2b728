package dev.graft.engine;

import org.jspecify.annotations.Nullable;

/** What DoRA does around a linear layer, in float64, straight from the formulas of {@link Engine}. */
public final class ReferenceRescale {
    private ReferenceRescale() {}

    /** What {@link #backward} gives: dz and dm. */
    public record Gradients(Matrix z, Matrix magnitude) {}

    /** {@code W + s B A}. */
    public static Matrix adapted(Matrix weight, Matrix a, Matrix b, double scale) {
        return weight.plus(b.times(a).scaled(scale));
    }

    /** The lengths of the rows of {@link #adapted}, [1, N]. */
    public static Matrix rowNorms(Matrix weight, Matrix a, Matrix b, double scale) {
        return adapted(weight, a, b, scale)
                .map(value -> value * value)
                .transposed()
                .columnSums()
                .map(Math::sqrt);
    }

    /** {@code z · m / n + bias + residual}. */
    public static Matrix forward(
            Matrix z,
            @Nullable Matrix magnitude,
            @Nullable Matrix norms,
            @Nullable Matrix bias,
            @Nullable Matrix residual) {
        Matrix y = Matrix.zeros(z.rows(), z.cols());
        for (int row = 0; row < z.rows(); row++) {
            for (int col = 0; col < z.cols(); col++) {
                double factor = magnitude == null || norms == null ? 1 : ratio(magnitude.at(0, col), norms.at(0, col));
                double value = z.at(row, col) * factor;
                value += bias == null ? 0 : bias.at(0, col);
                value += residual == null ? 0 : residual.at(row, col);
                y.set(row, col, value);
            }
        }
        return y;
    }

    /** {@code dz = dy · m / n} and {@code dm = Σ dy · z / n}. */
    public static Gradients backward(Matrix dy, Matrix z, Matrix magnitude, Matrix norms) {
        Matrix products = dy.combine(z, (d, value) -> d * value).columnSums();
        return new Gradients(
                forward(dy, magnitude, norms, null, null), products.combine(norms, ReferenceRescale::ratio));
    }

    private static double ratio(double a, double b) {
        return b == 0 ? 0 : a / b;
    }
}
