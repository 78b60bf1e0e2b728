package dev.graft.engine;

/** The standard normal distribution in float64, for reference calculations. */
final class Normal {
    /** From here on the tail's continued fraction, which keeps small values exact, has converged. */
    private static final double TAIL = 4;

    private Normal() {}

    /** φ(x) = e^(-x²/2) / √(2π). */
    static double density(double x) {
        return Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    }

    /** Φ(x) = ½ (1 + erf(x / √2)), by the series and the continued fraction of Marsaglia, "Evaluating the Normal Distribution" (2004). */
    static double distribution(double x) {
        if (x < -TAIL) {
            return density(x) / fraction(-x);
        }
        return x > TAIL ? 1 - density(x) / fraction(x) : 0.5 + density(x) * series(x);
    }

    /** x + x³ / 3 + x⁵ / (3 · 5) + … */
    private static double series(double x) {
        double sum = x;
        double term = x;
        for (int i = 3; sum + term * x * x / i != sum; i += 2) {
            term *= x * x / i;
            sum += term;
        }
        return sum;
    }

    /** x + 1 / (x + 2 / (x + 3 / …)) */
    private static double fraction(double x) {
        double value = x;
        for (int i = 100; i >= 1; i--) {
            value = x + i / value;
        }
        return value;
    }
}
