package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.engine.AdamW;

/**
 * How a run trains; the {@code train} command's flags. What is trained is the {@link Method}'s matter.
 *
 * @param epochs passes over the data, where {@code steps} is 0
 * @param steps optimizer steps; 0 to count by epochs
 * @param batchSize rows of a micro-batch
 * @param gradAccum micro-batches of an optimizer step
 * @param learningRate peak learning rate
 * @param warmupSteps steps of linear warm-up
 * @param weightDecay AdamW's λ
 * @param clipNorm gradients are scaled down to this norm; 0 = off
 * @param seed of shuffling, dropout and initial values
 * @param shuffle whether each epoch has its own order; otherwise batches are consecutive rows
 * @param evalEvery steps between evaluations; 0 = never
 * @param saveEvery steps between checkpoints; 0 = never
 * @param gradientCheckpointing whether layers keep their input alone and backward computes the rest again: less memory, the same bits
 * @param loraPlusRatio how many times A's learning rate B's is (LoRA+: Hayou et al., 2024); 1 = plain LoRA
 */
public record TrainConfig(
        int epochs,
        int steps,
        int batchSize,
        int gradAccum,
        double learningRate,
        LearningRateSchedule schedule,
        int warmupSteps,
        double weightDecay,
        double beta1,
        double beta2,
        double epsilon,
        double clipNorm,
        long seed,
        boolean shuffle,
        int evalEvery,
        int saveEvery,
        boolean gradientCheckpointing,
        double loraPlusRatio) {

    public TrainConfig {
        atLeast("--epochs", epochs, 1);
        atLeast("--steps", steps, 0);
        atLeast("--batch-size", batchSize, 1);
        atLeast("--grad-accum", gradAccum, 1);
        atLeast("--warmup-steps", warmupSteps, 0);
        atLeast("--eval-every", evalEvery, 0);
        atLeast("--save-every", saveEvery, 0);
        inRange("--lr", learningRate, 0, Double.MAX_VALUE);
        inRange("--weight-decay", weightDecay, 0, Double.MAX_VALUE);
        inRange("--beta1", beta1, 0, Math.nextDown(1.0));
        inRange("--beta2", beta2, 0, Math.nextDown(1.0));
        inRange("--eps", epsilon, 0, Double.MAX_VALUE);
        inRange("--clip-norm", clipNorm, 0, Double.MAX_VALUE);
        inRange("--lora-plus-ratio", loraPlusRatio, 1, Double.MAX_VALUE);
    }

    private static void atLeast(String flag, int value, int least) {
        if (value < least) {
            throw new InputException(flag + " " + value + ": must be at least " + least);
        }
    }

    private static void inRange(String flag, double value, double least, double most) {
        if (!(value >= least && value <= most)) {
            throw new InputException(flag + " " + value + ": must be at least " + least
                    + (most == Double.MAX_VALUE ? "" : " and below 1"));
        }
    }

    /** The same run with another learning rate. */
    public TrainConfig withLearningRate(double newLearningRate) {
        return new TrainConfig(
                epochs,
                steps,
                batchSize,
                gradAccum,
                newLearningRate,
                schedule,
                warmupSteps,
                weightDecay,
                beta1,
                beta2,
                epsilon,
                clipNorm,
                seed,
                shuffle,
                evalEvery,
                saveEvery,
                gradientCheckpointing,
                loraPlusRatio);
    }

    /** The update that ends step {@code step} (from 0) of {@code totalSteps}. */
    AdamW adamW(int step, int totalSteps) {
        return new AdamW(
                learningRate * schedule.factor(step, warmupSteps, totalSteps),
                beta1,
                beta2,
                epsilon,
                weightDecay,
                step + 1,
                clipNorm);
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Starts from the defaults of the {@code train} command. */
    public static final class Builder {
        private int epochs = 1;
        private int steps;
        private int batchSize = 4;
        private int gradAccum = 1;
        private double learningRate = 2e-4;
        private LearningRateSchedule schedule = LearningRateSchedule.COSINE;
        private int warmupSteps;
        private double weightDecay;
        private double beta1 = 0.9;
        private double beta2 = 0.999;
        private double epsilon = 1e-8;
        private double clipNorm = 1;
        private long seed;
        private boolean shuffle = true;
        private int evalEvery;
        private int saveEvery;
        private double loraPlusRatio = 1;
        private boolean gradientCheckpointing;

        private Builder() {}

        public Builder epochs(int value) {
            epochs = value;
            return this;
        }

        public Builder steps(int value) {
            steps = value;
            return this;
        }

        public Builder batchSize(int value) {
            batchSize = value;
            return this;
        }

        public Builder gradAccum(int value) {
            gradAccum = value;
            return this;
        }

        public Builder learningRate(double value) {
            learningRate = value;
            return this;
        }

        public Builder schedule(LearningRateSchedule value) {
            schedule = value;
            return this;
        }

        public Builder warmupSteps(int value) {
            warmupSteps = value;
            return this;
        }

        public Builder weightDecay(double value) {
            weightDecay = value;
            return this;
        }

        public Builder beta1(double value) {
            beta1 = value;
            return this;
        }

        public Builder beta2(double value) {
            beta2 = value;
            return this;
        }

        public Builder epsilon(double value) {
            epsilon = value;
            return this;
        }

        public Builder clipNorm(double value) {
            clipNorm = value;
            return this;
        }

        public Builder seed(long value) {
            seed = value;
            return this;
        }

        public Builder shuffle(boolean value) {
            shuffle = value;
            return this;
        }

        public Builder evalEvery(int value) {
            evalEvery = value;
            return this;
        }

        public Builder saveEvery(int value) {
            saveEvery = value;
            return this;
        }

        public Builder gradientCheckpointing(boolean value) {
            gradientCheckpointing = value;
            return this;
        }

        public Builder loraPlusRatio(double value) {
            loraPlusRatio = value;
            return this;
        }

        public TrainConfig build() {
            return new TrainConfig(
                    epochs,
                    steps,
                    batchSize,
                    gradAccum,
                    learningRate,
                    schedule,
                    warmupSteps,
                    weightDecay,
                    beta1,
                    beta2,
                    epsilon,
                    clipNorm,
                    seed,
                    shuffle,
                    evalEvery,
                    saveEvery,
                    gradientCheckpointing,
                    loraPlusRatio);
        }
    }
}
