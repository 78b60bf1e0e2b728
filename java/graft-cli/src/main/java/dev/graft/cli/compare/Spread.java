package dev.graft.cli.compare;

import java.util.List;

/**
 * A figure over several seeds.
 *
 * @param std the sample's standard deviation, Σ (x - mean)² / (n - 1) under a root; 0 for a single seed
 */
public record Spread(double mean, double std) {
    static Spread of(List<Double> values) {
        double mean = values.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
        double squares = values.stream()
                .mapToDouble(value -> (value - mean) * (value - mean))
                .sum();
        return new Spread(mean, values.size() < 2 ? 0 : Math.sqrt(squares / (values.size() - 1)));
    }
}
