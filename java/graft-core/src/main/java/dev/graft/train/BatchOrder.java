package dev.graft.train;

import dev.graft.common.RandomFill;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which rows each optimizer step sees: a pure function of the step, so that a resumed run goes on where it stopped. Steps never
 * span epochs; an epoch's last step may hold fewer rows.
 */
final class BatchOrder {
    private final int rowCount;
    private final TrainConfig config;
    private int cachedEpoch = -1;
    private int[] cachedOrder = new int[0];

    BatchOrder(int rowCount, TrainConfig config) {
        this.rowCount = rowCount;
        this.config = config;
    }

    int stepsPerEpoch() {
        return Math.ceilDiv(rowCount, rowsPerStep());
    }

    /** Steps of the whole run. */
    int totalSteps() {
        return config.steps() > 0 ? config.steps() : Math.multiplyExact(stepsPerEpoch(), config.epochs());
    }

    /** The micro-batches of step {@code step} (from 0), as row numbers. */
    List<int[]> microBatches(int step) {
        int epoch = step / stepsPerEpoch();
        int[] order = order(epoch);
        int from = (step % stepsPerEpoch()) * rowsPerStep();
        int to = Math.min(rowCount, from + rowsPerStep());
        List<int[]> batches = new ArrayList<>();
        for (int start = from; start < to; start += config.batchSize()) {
            batches.add(Arrays.copyOfRange(order, start, Math.min(to, start + config.batchSize())));
        }
        return batches;
    }

    private int rowsPerStep() {
        return Math.multiplyExact(config.batchSize(), config.gradAccum());
    }

    private int[] order(int epoch) {
        if (epoch != cachedEpoch) {
            cachedOrder = config.shuffle()
                    ? RandomFill.permutation(config.seed(), epoch, rowCount)
                    : IntStream.range(0, rowCount).toArray();
            cachedEpoch = epoch;
        }
        return cachedOrder;
    }
}
