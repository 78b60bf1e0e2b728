package dev.graft.cpu.parallel;

/** One worker's share of a loop. */
@FunctionalInterface
public interface RangeTask {
    /**
     * Handles the indices {@code from} (inclusive) to {@code to} (exclusive).
     *
     * @param worker who runs this, from 0 to {@link WorkerPool#size()} - 1; no two shares of one loop have the same worker
     */
    void run(int from, int to, int worker);
}
