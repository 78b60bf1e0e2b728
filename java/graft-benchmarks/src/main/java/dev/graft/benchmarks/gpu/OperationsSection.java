package dev.graft.benchmarks.gpu;

import dev.graft.common.InputException;
import dev.graft.cuda.CudaEngine;
import dev.graft.engine.Engine;
import dev.graft.engine.profile.EngineProfile;
import dev.graft.model.DecoderConfig;
import dev.graft.model.PretrainedModel;
import dev.graft.train.TrainingPlan;
import java.util.Comparator;
import java.util.List;

/**
 * Where the time of a LoRA step goes: every operation of it against its floor, the largest gap first. The GPU is waited for after
 * each call, so that small operations cost some microseconds more than in a step.
 */
final class OperationsSection implements Section {
    private static final int WARM_UP = 1;

    /**
     * An operation, all its calls in a step together.
     *
     * @param share of the step
     * @param gapMs by which it takes longer than its floor
     */
    record Operation(String operation, long calls, double ms, double share, double floorMs, double gapMs) {}

    /**
     * All of a step.
     *
     * @param stepMs of a step in which only the loss is waited for
     * @param enqueueMs of that, what the host took to hand the work to the GPU; see {@link EnqueueTime}
     * @param ms of its operations, each waited for
     */
    record Result(
            String shape,
            int batch,
            int seq,
            int rank,
            Ceilings ceilings,
            double stepMs,
            double enqueueMs,
            double ms,
            List<Operation> operations) {}

    @Override
    public String name() {
        return "operations";
    }

    @Override
    public boolean opensEngines() {
        return true;
    }

    @Override
    public Result run(Verification verification) {
        boolean tiny = verification.effort() == Effort.TINY;
        DecoderConfig config = tiny ? TinyDecoder.smallest() : LlamaSlice.config();
        LoraSteps size = tiny ? LoraSteps.of(2, 16) : LoraSteps.of(2, 4096);
        int steps = tiny ? 1 : 4;
        Ceilings ceilings;
        try (CudaEngine engine = verification.target().open(Variant.PLAIN)) {
            ceilings = Ceilings.measure(engine, verification.stopwatch(), verification.sizes());
        }
        EngineProfile profile = new EngineProfile();
        EnqueueTime enqueue = new EnqueueTime();
        double stepMs;
        double enqueueMs;
        try (CudaEngine engine = verification.target().open(Variant.USUAL);
                Engine timed = profile.wrap(enqueue.wrap(engine))) {
            TrainingPlan plan = size.plan(engine, config);
            if (plan.allocatedBytes() > engine.availableBytes()) {
                throw new InputException("a step of " + LlamaSlice.NAME + " does not fit this GPU");
            }
            profile.reset(false);
            try (PretrainedModel base = LoraSteps.base(config, timed)) {
                stepMs = size.run(base, WARM_UP, steps, () -> 0, enqueue::reset).median();
                enqueueMs = enqueue.millis() / steps;
                size.run(base, WARM_UP, steps, () -> 0, () -> profile.reset(true));
                profile.stop();
            }
        }
        double total =
                profile.rows().stream().mapToDouble(EngineProfile.Row::seconds).sum();
        List<Operation> operations = profile.rows().stream()
                .map(row -> operation(row, steps, total, ceilings))
                .sorted(Comparator.comparingDouble(Operation::gapMs).reversed())
                .toList();
        String shape = tiny ? "tiny" : LlamaSlice.NAME;
        return new Result(
                shape,
                size.batch(),
                size.seq(),
                size.rank(),
                ceilings,
                stepMs,
                enqueueMs,
                1e3 * total / steps,
                operations);
    }

    private static Operation operation(EngineProfile.Row row, int steps, double total, Ceilings ceilings) {
        double ms = 1e3 * row.seconds() / steps;
        double floor = ceilings.floorMs(row.bytes(), row.flops()) / steps;
        return new Operation(row.name(), row.calls() / steps, ms, row.seconds() / total, floor, ms - floor);
    }
}
