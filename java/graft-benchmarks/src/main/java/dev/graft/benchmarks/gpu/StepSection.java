package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.benchmarks.gpu.LoraSteps.Measured;
import dev.graft.cuda.CudaEngine;
import dev.graft.cuda.CudaSettings;
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

    /**
     * A model and the batches to try, the largest first.
     *
     * @param border of the engine; 0 for the plain way
     * @param overlap with kernels beside products
     */
    private record Case(String shape, DecoderConfig config, int border, boolean overlap, List<LoraSteps> sizes) {}

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
                verification.soFar().accept(new Result(steps, leftOut));
            }
        }
        return new Result(steps, leftOut);
    }

    private static List<Case> cases(Effort effort) {
        int border = CudaSettings.DEFAULT_BORDER;
        if (effort == Effort.TINY) {
            DecoderConfig tiny = TinyDecoder.smallest();
            List<LoraSteps> size = List.of(LoraSteps.of(2, 16));
            return List.of(new Case("tiny", tiny, border, true, size), new Case("tiny", tiny, 0, false, size));
        }
        DecoderConfig llama8b = KnownShape.LLAMA3_1_8B.config();
        List<LoraSteps> large = List.of(LoraSteps.of(2, 4096));
        Case slice = new Case(LlamaSlice.NAME, LlamaSlice.config(), border, false, large);
        if (effort == Effort.QUICK) {
            return List.of(slice);
        }
        return List.of(
                slice,
                new Case(slice.shape, slice.config, border, true, large),
                new Case(slice.shape, slice.config, 0, false, large),
                new Case(
                        KnownShape.LLAMA3_1_8B.label(),
                        llama8b,
                        border,
                        false,
                        List.of(LoraSteps.of(2, 4096), LoraSteps.of(1, 4096), LoraSteps.of(1, 2048))),
                new Case(KnownShape.LLAMA3_2_1B.label(), KnownShape.LLAMA3_2_1B.config(), border, false, large));
    }

    private static @Nullable Step largestThatFits(Verification verification, Case todo) {
        for (LoraSteps size : todo.sizes) {
            try (CudaEngine engine = verification.target().open(todo.border, todo.overlap)) {
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
                    todo.border,
                    todo.overlap,
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
