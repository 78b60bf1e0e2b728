package dev.graft.engine;

/**
 * Dropout of one LoRA module's input in one step. Element i (row-major, rows counted from the start of the micro-batch) is kept
 * where the Philox word at (i / 4, step, stream, DROPOUT)[i % 4], as a uniform number, is at least p, and is then multiplied by
 * 1 / (1 - p). The mask is never stored: backward draws it again.
 *
 * @param probability p in [0, 1)
 * @param seed the run's seed
 * @param step counts micro-batches over the whole run
 * @param stream a number of the module's own
 */
public record Dropout(float probability, long seed, int step, int stream) {
    public Dropout {
        if (!(probability >= 0 && probability < 1)) {
            throw new IllegalArgumentException("dropout probability " + probability + " is not in [0, 1)");
        }
    }
}
