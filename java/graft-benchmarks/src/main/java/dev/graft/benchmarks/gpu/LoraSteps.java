package dev.graft.benchmarks.gpu;

import dev.graft.cuda.CudaEngine;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import dev.graft.model.PretrainedModel;
import dev.graft.train.JointTrainer;
import dev.graft.train.Method;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * LoRA steps to be measured: all linear layers, bf16, AdamW, rows of random tokens.
 *
 * @param adapters trained at once, each on {@code batch} rows of its own
 * @param checkpointing whether activations are computed again in backward
 */
record LoraSteps(int batch, int seq, int rank, int adapters, boolean checkpointing) {
    static final Precision PRECISION = Precision.BF16;

    /** Of A and B, where it is not what is measured. */
    static final int RANK = 16;

    private static final long SEED = 0;

    /** One adapter of rank {@link #RANK}, all activations kept. */
    static LoraSteps of(int batch, int seq) {
        return of(batch, seq, RANK);
    }

    /** One adapter, all activations kept. */
    static LoraSteps of(int batch, int seq, int rank) {
        return new LoraSteps(batch, seq, rank, 1, false);
    }

    LoraSteps withCheckpointing() {
        return new LoraSteps(batch, seq, rank, adapters, true);
    }

    /**
     * What was measured.
     *
     * @param millis of each step, in order of size
     * @param usedBytes device memory, as told by the caller's gauge while all buffers were there
     */
    record Measured(double[] millis, double firstLoss, double lastLoss, long usedBytes) {
        double median() {
            return millis[millis.length / 2];
        }
    }

    /** Random weights of {@code config}. */
    static PretrainedModel base(DecoderConfig config, Engine engine) {
        return PretrainedModel.random(config, engine, PRECISION, SEED);
    }

    /** Tokens of a step. */
    int tokens() {
        return batch * seq * adapters;
    }

    /** All memory of training them, the frozen weights' and the engine's own included. */
    TrainingPlan plan(CudaEngine engine, DecoderConfig config) {
        return TrainingPlan.of(
                FrozenWeights.randomPlan(engine, config, PRECISION),
                engine.bufferLayout(),
                config,
                PRECISION,
                joint(config),
                new TrainingSize(batch * seq, seq, checkpointing));
    }

    /** Of {@link Method#sharedRanks}. */
    int sharedRanks(DecoderConfig config) {
        return joint(config).sharedRanks();
    }

    private Method joint(DecoderConfig config) {
        return new Method.JointLora(method(config), adapters);
    }

    private Method.Lora method(DecoderConfig config) {
        return new Method.Lora(lora(), TargetMatcher.match(lora(), Decoder.linearModules(config)));
    }

    private LoraConfig lora() {
        return LoraConfig.builder().rank(rank).alpha(2.0 * rank).build();
    }

    /**
     * Operations of a step: 4 a token and frozen weight, 6 a token and trained number, and the two and five products of causal
     * attention; what checkpointing computes again is not counted.
     */
    double flops(DecoderConfig config) {
        double frozen = Decoder.linearModules(config).stream()
                .mapToDouble(module -> (double) module.in() * module.out())
                .sum();
        double attention = 7.0 * seq * config.queryWidth() * config.layers();
        return tokens() * (4 * frozen + 6.0 * method(config).trainableCount(config) + attention);
    }

    /**
     * Trains.
     *
     * @param usedBytes read once, when all buffers are there
     * @param warm called after the steps that do not count
     */
    Measured run(PretrainedModel base, int warmUp, int steps, LongSupplier usedBytes, Runnable warm) {
        TrainConfig config = TrainConfig.builder()
                .batchSize(batch)
                .steps(warmUp + steps)
                .shuffle(false)
                .gradientCheckpointing(checkpointing)
                .build();
        List<JointTrainer.Member> members = IntStream.range(0, adapters)
                .mapToObj(i -> new JointTrainer.Member(base.attach(lora(), SEED + i), config))
                .toList();
        double[] millis = new double[steps];
        double[] losses = new double[warmUp + steps];
        try (JointTrainer trainer = new JointTrainer(members, rows(base.config().vocabSize()))) {
            long used = usedBytes.getAsLong();
            trainer.train(all -> {
                StepMetrics step = all.getFirst();
                losses[step.step() - 1] = step.loss();
                if (step.step() > warmUp) {
                    millis[step.step() - 1 - warmUp] = 1e3 * adapters * step.tokens() / step.tokensPerSecond();
                }
                if (step.step() == warmUp) {
                    warm.run();
                }
            });
            Arrays.sort(millis);
            return new Measured(millis, losses[0], losses[losses.length - 1], used);
        }
    }

    private List<Example> rows(int vocabulary) {
        SplittableRandom random = new SplittableRandom(SEED);
        return Stream.generate(() -> random.ints(seq, 0, vocabulary).toArray())
                .limit(batch)
                .map(ids -> new Example(ids, ids))
                .toList();
    }
}
