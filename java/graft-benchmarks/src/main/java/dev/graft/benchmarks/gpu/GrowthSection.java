package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.benchmarks.gpu.LoraSteps.Measured;
import dev.graft.cuda.CudaEngine;
import dev.graft.cuda.CudaSettings;
import dev.graft.cuda.driver.OutOfDeviceMemory;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import dev.graft.model.KnownShape;
import dev.graft.model.PretrainedModel;
import dev.graft.train.TrainingPlan;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How the cost of a LoRA step grows with the sequence length, the rank, the number of adapters trained at once and the model; what
 * {@code scripts/cost-growth} measures on the CPU, with a model loaded once for all its points.
 */
final class GrowthSection implements Section {
    private static final int WARM_UP = 1;

    /** What grows. */
    private enum Kind {
        SEQUENCE("sequence", "sequence length", "sequence length"),
        RANK("rank", "rank", "rank"),
        ADAPTERS("adapters", "number of adapters on one frozen base", "adapters"),
        SHAPE("shape", "model", "model");

        private final String label;
        private final String title;
        private final String x;

        Kind(String label, String title, String x) {
            this.label = label;
            this.title = title;
            this.x = x;
        }
    }

    /** A point of a sweep. */
    private record Todo(Kind kind, String x, LoraSteps steps) {}

    /** A model, and all that is measured on it. */
    private record Base(String shape, DecoderConfig config, List<Todo> todo) {}

    /**
     * A step.
     *
     * @param gradientCheckpointing where it fits only so
     * @param usedBytes that the driver has less of while training, the engine's own left out
     * @param planBytes of the memory plan, likewise
     */
    record Run(
            String shape,
            int batch,
            int seq,
            int rank,
            int adapters,
            boolean gradientCheckpointing,
            int steps,
            double tokensPerSecond,
            double stepMs,
            double tflops,
            long usedBytes,
            long planBytes) {}

    /** One or the other: what was measured, or why nothing was. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Point(String x, @Nullable Run run, @Nullable String refused) {}

    /** A line of a plot; in the form of {@code scripts/cost-growth}. */
    record Sweep(String name, String title, String x, List<Point> points) {}

    /** All of them. */
    record Result(List<Sweep> sweeps) {}

    @Override
    public String name() {
        return "growth";
    }

    @Override
    public Result run(Verification verification) {
        Map<Kind, List<Point>> points = new LinkedHashMap<>();
        for (Kind kind : Kind.values()) {
            points.put(kind, new ArrayList<>());
        }
        for (Base base : bases(verification.effort())) {
            measure(verification, base, points);
        }
        return result(points);
    }

    private static Result result(Map<Kind, List<Point>> points) {
        List<Sweep> sweeps = new ArrayList<>();
        points.forEach((kind, all) -> sweeps.add(new Sweep(kind.label, kind.title, kind.x, all)));
        return new Result(sweeps);
    }

    /** The one with the most points first, the one that takes longest to load last. */
    private static List<Base> bases(Effort effort) {
        if (effort == Effort.TINY) {
            DecoderConfig tiny = TinyDecoder.smallest();
            return List.of(new Base(
                    "tiny",
                    tiny,
                    List.of(
                            new Todo(Kind.SHAPE, "tiny", LoraSteps.of(2, 16, 4)),
                            new Todo(Kind.SEQUENCE, "32", LoraSteps.of(1, 32, 4)),
                            new Todo(Kind.RANK, "8", LoraSteps.of(2, 16, 8)),
                            new Todo(Kind.ADAPTERS, "2", new LoraSteps(1, 16, 4, 2, false)))));
        }
        return List.of(
                new Base(KnownShape.LLAMA3_1_8B.label(), KnownShape.LLAMA3_1_8B.config(), sweepsOfOneModel(effort)),
                alone(KnownShape.LLAMA3_2_1B),
                alone(KnownShape.LLAMA3_1_70B));
    }

    private static List<Todo> sweepsOfOneModel(Effort effort) {
        List<Todo> all = new ArrayList<>();
        all.add(new Todo(Kind.SHAPE, KnownShape.LLAMA3_1_8B.label(), LoraSteps.of(1, 4096)));
        int tokens = 8192;
        for (int seq = 1024; seq <= 32_768; seq *= effort == Effort.QUICK ? 32 : 2) {
            all.add(new Todo(Kind.SEQUENCE, Integer.toString(seq), LoraSteps.of(Math.max(1, tokens / seq), seq)));
        }
        for (int rank = 4; rank <= 256; rank *= effort == Effort.QUICK ? 64 : 4) {
            all.add(new Todo(Kind.RANK, Integer.toString(rank), LoraSteps.of(2, tokens / 2, rank)));
        }
        for (int adapters = 1; adapters <= 16; adapters *= effort == Effort.QUICK ? 16 : 2) {
            all.add(new Todo(
                    Kind.ADAPTERS,
                    Integer.toString(adapters),
                    new LoraSteps(16 / adapters, tokens / 16, LoraSteps.RANK, adapters, false)));
        }
        return all;
    }

    private static Base alone(KnownShape shape) {
        return new Base(
                shape.label(), shape.config(), List.of(new Todo(Kind.SHAPE, shape.label(), LoraSteps.of(1, 4096))));
    }

    private static void measure(Verification verification, Base base, Map<Kind, List<Point>> points) {
        if (verification.deadline().isPast()) {
            refuse(base, points, "no time was left");
            return;
        }
        int border = base.todo.stream()
                .mapToInt(todo -> CudaSettings.borderFor(todo.steps.sharedRanks(base.config)))
                .max()
                .orElseThrow();
        try (CudaEngine engine = verification.target().open(Variant.USUAL.withBorder(border))) {
            long free = engine.availableBytes();
            if (base.todo.stream().noneMatch(todo -> fitting(todo.steps, engine, base.config, free) != null)) {
                refuse(base, points, "does not fit this GPU");
                return;
            }
            try (PretrainedModel model = LoraSteps.base(base.config, engine)) {
                for (Todo todo : base.todo) {
                    points.get(todo.kind).add(point(verification, engine, base, model, todo, free));
                    verification.soFar().accept(result(points));
                }
            }
        }
    }

    private static void refuse(Base base, Map<Kind, List<Point>> points, String reason) {
        base.todo.forEach(todo -> points.get(todo.kind).add(new Point(todo.x, null, reason)));
    }

    /** As asked for, or with gradient checkpointing, or null where even that is too much. */
    private static @Nullable LoraSteps fitting(LoraSteps steps, CudaEngine engine, DecoderConfig config, long free) {
        for (LoraSteps way : List.of(steps, steps.withCheckpointing())) {
            if (way.plan(engine, config).allocatedBytes() <= free) {
                return way;
            }
        }
        return null;
    }

    /** @param free what the engine had before the model was loaded */
    private static Point point(
            Verification verification, CudaEngine engine, Base base, PretrainedModel model, Todo todo, long free) {
        if (verification.deadline().isPast()) {
            return new Point(todo.x, null, "no time was left");
        }
        LoraSteps steps = fitting(todo.steps, engine, base.config, free);
        if (steps == null) {
            return new Point(todo.x, null, "does not fit this GPU");
        }
        TrainingPlan plan = steps.plan(engine, base.config);
        // the adapters of earlier points stay with the model: they count neither as the model's nor as this point's
        long before = engine.availableBytes();
        int count = verification.effort() == Effort.TINY ? 1 : 3;
        try {
            Measured measured = steps.run(model, WARM_UP, count, () -> before - engine.availableBytes(), () -> {});
            double median = measured.median();
            return new Point(
                    todo.x,
                    new Run(
                            base.shape,
                            steps.batch(),
                            steps.seq(),
                            steps.rank(),
                            steps.adapters(),
                            steps.checkpointing(),
                            count,
                            steps.tokens() / median * 1e3,
                            median,
                            steps.flops(base.config) / median / 1e9,
                            measured.usedBytes() + weightBytes(engine, base.config),
                            plan.allocatedBytes() - engine.bufferLayout().engineBytes()),
                    null);
        } catch (OutOfDeviceMemory failed) {
            // planned to fit, but earlier points' adapters take room, or the driver's free memory was in pieces
            return new Point(todo.x, null, failed.getMessage());
        }
    }

    private static long weightBytes(CudaEngine engine, DecoderConfig config) {
        return FrozenWeights.randomPlan(engine, config, LoraSteps.PRECISION).totalBytes();
    }
}
