package dev.graft.benchmarks.gpu;

/** {@code ‖actual - expected‖ / ‖expected‖} over numbers given one by one; NaN where any was NaN. */
final class RelativeError {
    private double difference;
    private double size;

    void add(double actual, double expected) {
        difference += (actual - expected) * (actual - expected);
        size += expected * expected;
    }

    double value() {
        return Math.sqrt(difference / size);
    }
}
