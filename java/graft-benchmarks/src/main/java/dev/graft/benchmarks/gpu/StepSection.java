package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.common.InputException;
import dev.graft.cuda.CudaEngine;
import dev.graft.cuda.CudaSettings;
import dev.graft.data.Example;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import dev.graft.model.KnownShape;
import dev.graft.model.PretrainedModel;
import dev.graft.train.Method;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.Trainer;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Whole LoRA steps (all linear layers, bf16, AdamW) on random weights of well-known shapes. */
final class StepSection implements Section {
    private static final long SEED = 0;
    private static final int RANK = 16;
    private static final int WARM_UP = 2;

    /**
     * A model and the batches to try, the largest first.
     *
     * @param border of the engine; 0 for the plain way
     */
    private record Case(String shape, DecoderConfig config, int border, List<TrainingSize> sizes) {}

    /**
     * What was measured.
     *
     * @param tflops 10¹² operations a second: frozen products, adapters and attention, nothing twice
     * @param planBytes of the memory plan, without the engine's own
     * @param usedBytes that the driver has less of while training, likewise
     * @param loadSeconds to make random weights and bring them to the device
     */
    record Step(
            String shape,
            int layers,
            int batch,
            int seq,
            int rank,
            int border,
            int steps,
            double tokensPerSecond,
            double stepMs,
            double minMs,
            double maxMs,
            double tflops,
            double firstLoss,
            double lastLoss,
            long planBytes,
            long usedBytes,
            double loadSeconds) {}

    /** A case that was not measured, and why. */
    record LeftOut(String shape, String reason) {}

    /** All of them. */
    @JsonInclude(JsonInclude.Include.NON_EMPTY)
    record Result(List<Step> steps, List<LeftOut> leftOut) {}

    @Override
    public String name() {
        return "step";
    }

    @Override
    public Result run(Verification verification) {
        List<Step> steps = new ArrayList<>();
        List<LeftOut> leftOut = new ArrayList<>();
        for (Case todo : cases(verification.effort())) {
            if (verification.deadline().isPast()) {
                leftOut.add(new LeftOut(todo.shape, "no time left"));
                continue;
            }
            Step step = largestThatFits(verification, todo);
            if (step == null) {
                leftOut.add(new LeftOut(todo.shape, "does not fit this GPU"));
            } else {
                steps.add(step);
            }
        }
        return new Result(steps, leftOut);
    }

    private static List<Case> cases(Effort effort) {
        int border = CudaSettings.DEFAULT_BORDER;
        if (effort == Effort.TINY) {
            DecoderConfig tiny = TinyDecoder.config(1, 64, 96, 160);
            List<TrainingSize> size = List.of(new TrainingSize(32, 16));
            return List.of(new Case("tiny", tiny, border, size), new Case("tiny", tiny, 0, size));
        }
        DecoderConfig llama8b = KnownShape.LLAMA3_1_8B.config();
        List<TrainingSize> large = List.of(new TrainingSize(8192, 4096));
        Case slice = new Case("llama3.1-8b, 4 layers", withLayers(llama8b, 4), border, large);
        if (effort == Effort.QUICK) {
            return List.of(slice);
        }
        return List.of(
                slice,
                new Case(slice.shape, slice.config, 0, large),
                new Case(
                        KnownShape.LLAMA3_1_8B.label(),
                        llama8b,
                        border,
                        List.of(
                                new TrainingSize(8192, 4096),
                                new TrainingSize(4096, 4096),
                                new TrainingSize(2048, 2048))),
                new Case(KnownShape.LLAMA3_2_1B.label(), KnownShape.LLAMA3_2_1B.config(), border, large));
    }

    private static DecoderConfig withLayers(DecoderConfig config, int layers) {
        return new DecoderConfig(
                config.architecture(),
                config.vocabSize(),
                config.hiddenSize(),
                config.intermediateSize(),
                layers,
                config.heads(),
                config.keyValueHeads(),
                config.headDim(),
                config.rmsNormEpsilon(),
                config.rope(),
                config.maxPositions(),
                config.tiedEmbeddings(),
                config.qkvBias(),
                config.outputBias(),
                config.mlpBias(),
                config.queryKeyNorm(),
                Collections.nCopies(layers, 0),
                config.endTokens());
    }

    private static @Nullable Step largestThatFits(Verification verification, Case todo) {
        for (TrainingSize size : todo.sizes) {
            try (CudaEngine engine = verification.target().open(todo.border)) {
                TrainingPlan plan = plan(engine, todo.config, size);
                if (plan.allocatedBytes() <= engine.availableBytes()) {
                    return measure(verification, engine, todo, size, plan);
                }
            } catch (InputException outOfMemory) {
                // planned to fit, but the driver's free memory was in pieces
                continue;
            }
        }
        return null;
    }

    private static TrainingPlan plan(CudaEngine engine, DecoderConfig config, TrainingSize size) {
        return TrainingPlan.of(
                FrozenWeights.randomPlan(engine, config, Precision.BF16),
                engine.bufferLayout(),
                config,
                Precision.BF16,
                method(config),
                size);
    }

    private static Method method(DecoderConfig config) {
        return new Method.Lora(lora(), TargetMatcher.match(lora(), Decoder.linearModules(config)));
    }

    private static LoraConfig lora() {
        return LoraConfig.builder().rank(RANK).alpha(2.0 * RANK).build();
    }

    private static Step measure(
            Verification verification, CudaEngine engine, Case todo, TrainingSize size, TrainingPlan plan) {
        long before = engine.availableBytes();
        plan.reserve(engine);
        long start = System.nanoTime();
        try (PretrainedModel base = PretrainedModel.random(todo.config, engine, Precision.BF16, SEED)) {
            double loadSeconds = (System.nanoTime() - start) / 1e9;
            int batch = size.maxRows() / size.maxPositions();
            int steps = verification.effort() == Effort.TINY ? 1 : 8;
            TrainConfig train = TrainConfig.builder()
                    .batchSize(batch)
                    .steps(WARM_UP + steps)
                    .shuffle(false)
                    .build();
            List<StepMetrics> all = new ArrayList<>();
            long used;
            try (Trainer trainer = new Trainer(
                    base.attach(lora(), SEED), rows(batch, size.maxPositions(), todo.config), null, train)) {
                used = before - engine.availableBytes();
                trainer.train(all::add);
            }
            long planned = plan.allocatedBytes() - engine.bufferLayout().engineBytes();
            return step(todo, size, all, method(todo.config).trainableCount(todo.config), planned, used, loadSeconds);
        }
    }

    private static List<Example> rows(int batch, int seq, DecoderConfig config) {
        SplittableRandom random = new SplittableRandom(SEED);
        return Stream.generate(() -> random.ints(seq, 0, config.vocabSize()).toArray())
                .limit(batch)
                .map(ids -> new Example(ids, ids))
                .toList();
    }

    private static Step step(
            Case todo,
            TrainingSize size,
            List<StepMetrics> all,
            long trainable,
            long planned,
            long used,
            double loadSeconds) {
        double[] millis = all.stream()
                .skip(WARM_UP)
                .mapToDouble(step -> 1e3 * step.tokens() / step.tokensPerSecond())
                .sorted()
                .toArray();
        double median = millis[millis.length / 2];
        return new Step(
                todo.shape,
                todo.config.layers(),
                size.maxRows() / size.maxPositions(),
                size.maxPositions(),
                RANK,
                todo.border,
                millis.length,
                size.maxRows() / median * 1e3,
                median,
                millis[0],
                millis[millis.length - 1],
                flops(todo.config, size, trainable) / median / 1e9,
                all.getFirst().loss(),
                all.getLast().loss(),
                planned,
                used,
                loadSeconds);
    }

    /** 4 a token and frozen weight, 6 a token and trained number, and the two and five products of causal attention. */
    private static double flops(DecoderConfig config, TrainingSize size, long trainable) {
        double frozen = Decoder.linearModules(config).stream()
                .mapToDouble(module -> (double) module.in() * module.out())
                .sum();
        double attention = 7.0 * size.maxPositions() * config.queryWidth() * config.layers();
        return size.maxRows() * (4 * frozen + 6.0 * trainable + attention);
    }
}
