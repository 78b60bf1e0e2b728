package dev.graft.benchmarks.gpu;

/**
 * How long one call takes.
 *
 * @param ms median over the repetitions
 * @param minMs the fastest repetition's
 * @param maxMs the slowest one's
 * @param calls of a repetition, enqueued together
 */
record Timing(double ms, double minMs, double maxMs, int calls) {
    /** Rate in 10¹² a second for {@code work} operations a call. */
    double tera(double work) {
        return work / ms / 1e9;
    }

    /** Rate in 10⁹ a second for {@code work} bytes a call. */
    double giga(double work) {
        return work / ms / 1e6;
    }
}
