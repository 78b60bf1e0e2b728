package dev.graft.cli.compare;

import java.util.List;

/**
 * A figure over several seeds.
 *
 * @param std the sample's standard deviation, the root of Σ (x - mean)² / (n - 1); NaN where there is only one
 */
public record Spread(double mean, double std) {
    /** A figure that was taken once. */
    static Spread once(double value) {
        return new Spread(value, Double.NaN);
    }

    static Spread of(List<Double> values) {
        double mean = values.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
        double squares = values.stream()
                .mapToDouble(value -> (value - mean) * (value - mean))
                .sum();
        return new Spread(mean, values.size() < 2 ? Double.NaN : Math.sqrt(squares / (values.size() - 1)));
    }
}
