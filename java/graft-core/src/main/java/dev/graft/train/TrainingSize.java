package dev.graft.train;

import dev.graft.data.Example;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The largest batch of a run, and what is kept of it from forward to backward.
 *
 * @param maxRows tokens of a micro-batch
 * @param maxPositions tokens of the longest row
 * @param gradientCheckpointing whether each layer's input alone is kept
 */
public record TrainingSize(int maxRows, int maxPositions, boolean gradientCheckpointing) {
    public TrainingSize(int maxRows, int maxPositions) {
        this(maxRows, maxPositions, false);
    }

    /** The same batch with gradient checkpointing as {@code config} has it. */
    public TrainingSize with(TrainConfig config) {
        return new TrainingSize(maxRows, maxPositions, config.gradientCheckpointing());
    }

    /** Sized for these rows, whichever of them come together. */
    public static TrainingSize of(List<Example> data, @Nullable List<Example> evalData, int batchSize) {
        TrainingSize size = new TrainingSize(Batches.mostTokens(data, batchSize), Batches.longest(data));
        if (evalData == null) {
            return size;
        }
        return new TrainingSize(
                Math.max(size.maxRows, Batches.mostTokens(evalData, batchSize)),
                Math.max(size.maxPositions, Batches.longest(evalData)));
    }

    /** The most that rows of up to {@code seqLen} tokens can take. */
    public static TrainingSize most(int batchSize, int seqLen) {
        return new TrainingSize(Math.multiplyExact(batchSize, seqLen), seqLen);
    }
}
