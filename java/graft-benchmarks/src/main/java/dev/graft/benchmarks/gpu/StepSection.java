package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.benchmarks.gpu.LoraSteps.Measured;
import dev.graft.cuda.CudaEngine;
import dev.graft.cuda.driver.OutOfDeviceMemory;
import dev.graft.model.DecoderConfig;
import dev.graft.model.KnownShape;
import dev.graft.model.PretrainedModel;
import dev.graft.train.TrainingPlan;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Whole LoRA steps (all linear layers, bf16, AdamW) on random weights of well-known shapes. */
final class StepSection implements Section {
    private static final int WARM_UP = 2;
    private static final List<LoraSteps> LARGE = List.of(LoraSteps.of(2, 4096));

    /** A model and the batches to try, the largest first. */
    private record Case(String shape, DecoderConfig config, Variant variant, List<LoraSteps> sizes) {}

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
            boolean overlap,
            boolean wgmma,
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
    public boolean opensEngines() {
        return true;
    }

    @Override
    public Result run(Verification verification) {
        List<Step> steps = new ArrayList<>();
        List<LeftOut> leftOut = new ArrayList<>();
        for (Case todo : ways(verification)) {
            measure(verification, todo, steps, leftOut);
        }
        if (verification.effort() == Effort.FULL) {
            Variant best = best(steps);
            for (Case todo : models(best)) {
                measure(verification, todo, steps, leftOut);
            }
        }
        return new Result(steps, leftOut);
    }

    private static void measure(Verification verification, Case todo, List<Step> steps, List<LeftOut> leftOut) {
        if (verification.deadline().isPast()) {
            leftOut.add(new LeftOut(todo.shape, "no time left"));
            return;
        }
        Step step = largestThatFits(verification, todo);
        if (step == null) {
            leftOut.add(new LeftOut(todo.shape, "does not fit this GPU"));
        } else {
            steps.add(step);
            verification.soFar().accept(new Result(steps, leftOut));
        }
    }

    /** One model in each way. */
    private static List<Case> ways(Verification verification) {
        List<Variant> variants = switch (verification.effort()) {
            case QUICK -> List.of(Variant.USUAL);
            case TINY, FULL -> List.of(Variant.USUAL, Variant.USUAL.withOverlap(), Variant.PLAIN);
        };
        List<Variant> all = new ArrayList<>(variants);
        if (verification.mayUseWgmma()) {
            all.add(Variant.USUAL.withWgmma());
        }
        boolean tiny = verification.effort() == Effort.TINY;
        return all.stream()
                .map(variant -> tiny
                        ? new Case("tiny", TinyDecoder.smallest(), variant, List.of(LoraSteps.of(2, 16)))
                        : new Case(LlamaSlice.NAME, LlamaSlice.config(), variant, LARGE))
                .toList();
    }

    /** With all that made the first of them faster. */
    private static Variant best(List<Step> ways) {
        Variant best = Variant.USUAL;
        for (Step step : ways) {
            if (step.border > 0 && step.stepMs < ways.getFirst().stepMs) {
                best = new Variant(best.border(), best.overlap() || step.overlap, best.wgmma() || step.wgmma);
            }
        }
        return best;
    }

    private static List<Case> models(Variant variant) {
        return List.of(
                new Case(
                        KnownShape.LLAMA3_1_8B.label(),
                        KnownShape.LLAMA3_1_8B.config(),
                        variant,
                        List.of(LoraSteps.of(2, 4096), LoraSteps.of(1, 4096), LoraSteps.of(1, 2048))),
                new Case(KnownShape.LLAMA3_2_1B.label(), KnownShape.LLAMA3_2_1B.config(), variant, LARGE));
    }

    private static @Nullable Step largestThatFits(Verification verification, Case todo) {
        for (LoraSteps size : todo.sizes) {
            try (CudaEngine engine = verification.target().open(todo.variant)) {
                TrainingPlan plan = size.plan(engine, todo.config);
                if (plan.allocatedBytes() <= engine.availableBytes()) {
                    return measure(verification, engine, todo, size, plan);
                }
            } catch (OutOfDeviceMemory inPieces) {
                // planned to fit, but the driver's free memory was in pieces
                continue;
            }
        }
        return null;
    }

    private static Step measure(
            Verification verification, CudaEngine engine, Case todo, LoraSteps size, TrainingPlan plan) {
        long before = engine.availableBytes();
        plan.reserve(engine);
        long start = System.nanoTime();
        try (PretrainedModel base = LoraSteps.base(todo.config, engine)) {
            double loadSeconds = (System.nanoTime() - start) / 1e9;
            int steps = verification.effort() == Effort.TINY ? 1 : 8;
            Measured measured = size.run(base, WARM_UP, steps, () -> before - engine.availableBytes(), () -> {});
            double median = measured.median();
            return new Step(
                    todo.shape,
                    todo.config.layers(),
                    size.batch(),
                    size.seq(),
                    size.rank(),
                    todo.variant.border(),
                    todo.variant.overlap(),
                    todo.variant.wgmma(),
                    steps,
                    size.tokens() / median * 1e3,
                    median,
                    measured.millis()[0],
                    measured.millis()[steps - 1],
                    size.flops(todo.config) / median / 1e9,
                    measured.firstLoss(),
                    measured.lastLoss(),
                    plan.allocatedBytes() - engine.bufferLayout().engineBytes(),
                    measured.usedBytes(),
                    loadSeconds);
        }
    }
}
