package dev.graft.benchmarks.gpu;

/** When no further case should be begun. */
record Deadline(long nanoTime) {
    static Deadline in(int seconds) {
        return new Deadline(System.nanoTime() + seconds * 1_000_000_000L);
    }

    boolean isPast() {
        return System.nanoTime() - nanoTime > 0;
    }
}
