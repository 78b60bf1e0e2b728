package dev.graft.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.PrecisionOption;
import dev.graft.cli.run.Median;
import dev.graft.cli.run.PeakMemory;
import dev.graft.cli.run.ProfileTable;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.profile.EngineProfile;
import dev.graft.io.Json;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import dev.graft.model.KnownShape;
import dev.graft.model.PretrainedModel;
import dev.graft.train.JointTrainer;
import dev.graft.train.Method;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft bench train}: the speed of a LoRA or DoRA step on random weights. */
@Command(
        name = "train",
        customSynopsis = "graft bench train --shape NAME [OPTION]...",
        description = "Measures a LoRA or DoRA step (all linear layers) on random weights of a known model's shape.",
        footer = {
            "  graft bench train --shape smollm2-135m --batch 4 --seq 512",
            "  graft bench train --shape llama3.1-8b --rank 16 --steps 10 --json"
        })
final class BenchTrainCommand extends BaseCommand {
    private static final long SEED = 0;

    @Option(
            names = "--shape",
            paramLabel = "NAME",
            required = true,
            description = "One of: ${COMPLETION-CANDIDATES}.",
            completionCandidates = Shapes.class)
    private String shape = "";

    @Option(names = "--batch", paramLabel = "N", description = "Rows of a step (default: 4).")
    private int batch = 4;

    @Option(names = "--seq", paramLabel = "N", description = "Tokens of a row (default: 512).")
    private int seq = 512;

    @Option(names = "--rank", paramLabel = "R", description = "Rank of A and B (default: 16).")
    private int rank = 16;

    @Option(names = "--dora", description = "Measure DoRA instead of LoRA.")
    private boolean dora;

    @Option(names = "--steps", paramLabel = "N", description = "Steps measured (default: 10).")
    private int steps = 10;

    @Option(names = "--warmup", paramLabel = "N", description = "Steps before them (default: 2).")
    private int warmup = 2;

    @Option(
            names = "--adapters",
            paramLabel = "N",
            description = "Adapters trained at once on one frozen base, each on --batch rows (default: 1).")
    private int adapters = 1;

    @Option(
            names = "--gradient-checkpointing",
            description = "Keep each layer's input alone and compute the rest again in backward.")
    private boolean gradientCheckpointing;

    @Option(names = "--profile", description = "Also the time of every operation; slower, as each is waited for.")
    private boolean profile;

    @Mixin
    private final PrecisionOption precision = new PrecisionOption();

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    /** The names that {@code --help} lists. */
    static final class Shapes extends ArrayList<String> {
        private static final long serialVersionUID = 1;

        Shapes() {
            super(Stream.of(KnownShape.values()).map(KnownShape::label).toList());
        }
    }

    BenchTrainCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        DecoderConfig config = KnownShape.of(shape).config();
        LoraConfig lora =
                LoraConfig.builder().rank(rank).alpha(2.0 * rank).dora(dora).build();
        requireAtLeast("--batch", batch, 1);
        requireAtLeast("--seq", seq, 2);
        requireAtLeast("--steps", steps, 1);
        requireAtLeast("--warmup", warmup, 0);
        requireAtLeast("--adapters", adapters, 1);
        EngineProfile times = new EngineProfile();
        Method method = new Method.JointLora(
                new Method.Lora(lora, TargetMatcher.match(lora, Decoder.linearModules(config))), adapters);
        try (Engine engine = profile ? times.wrap(engineOptions.open(method)) : engineOptions.open(method)) {
            Precision used = PretrainedModel.supported(engine, precision.value());
            TrainingPlan plan = plan(engine, config, method, used);
            plan.requireFits(engine, "use a smaller --batch, --seq or --shape");
            plan.reserve(engine);
            try (PretrainedModel base = PretrainedModel.random(config, engine, used, SEED)) {
                List<StepMetrics> measured = measure(base, lora, times);
                report(measured, base, times);
                return EXIT_OK;
            }
        }
    }

    private static void requireAtLeast(String flag, int value, int least) {
        if (value < least) {
            throw new InputException(flag + " " + value + ": must be at least " + least);
        }
    }

    private TrainingPlan plan(Engine engine, DecoderConfig config, Method method, Precision used) {
        return TrainingPlan.of(
                FrozenWeights.randomPlan(engine, config, used),
                engine.bufferLayout(),
                config,
                used,
                method,
                new TrainingSize(batch * seq, seq, gradientCheckpointing));
    }

    private List<StepMetrics> measure(PretrainedModel base, LoraConfig lora, EngineProfile times) {
        TrainConfig train = TrainConfig.builder()
                .batchSize(batch)
                .steps(warmup + steps)
                .shuffle(false)
                .gradientCheckpointing(gradientCheckpointing)
                .build();
        List<JointTrainer.Member> members = new ArrayList<>();
        for (int i = 0; i < adapters; i++) {
            members.add(new JointTrainer.Member(base.attach(lora, SEED + i), train));
        }
        List<StepMetrics> measured = new ArrayList<>();
        try (JointTrainer trainer =
                new JointTrainer(members, randomRows(base.config().vocabSize()))) {
            times.reset(warmup == 0);
            trainer.train(all -> {
                StepMetrics metrics = all.getFirst();
                console().live("step " + metrics.step() + "/" + metrics.totalSteps());
                if (metrics.step() > warmup) {
                    measured.add(metrics);
                }
                if (metrics.step() == warmup) {
                    times.reset(true);
                }
            });
            times.stop();
        } finally {
            console().endLive();
        }
        return measured;
    }

    private List<Example> randomRows(int vocabSize) {
        SplittableRandom random = new SplittableRandom(SEED);
        return Stream.generate(() -> random.ints(seq, 0, vocabSize).toArray())
                .limit(batch)
                .map(ids -> new Example(ids, ids))
                .toList();
    }

    private void report(List<StepMetrics> measured, PretrainedModel base, EngineProfile times) {
        double tokensPerSecond = Median.of(
                measured.stream().mapToDouble(StepMetrics::tokensPerSecond).toArray());
        double stepMillis = Median.of(measured.stream()
                .mapToDouble(metrics -> 1e3 * adapters * metrics.tokens() / metrics.tokensPerSecond())
                .toArray());
        OptionalLong peak = PeakMemory.bytes();
        String compute = base.precision().compute().toString().toLowerCase(Locale.ROOT);
        if (output.isJson()) {
            ObjectNode json = Json.mapper().createObjectNode();
            json.put("shape", shape);
            json.put("batch", batch);
            json.put("seq", seq);
            json.put("rank", rank);
            json.put("dora", dora);
            json.put("adapters", adapters);
            json.put("steps", steps);
            json.put("precision", compute);
            json.put("engine", base.engine().name());
            json.put("tokens_per_second", tokensPerSecond);
            json.put("step_ms", stepMillis);
            json.put("peak_rss_bytes", peak.isPresent() ? (Long) peak.getAsLong() : null);
            if (profile) {
                json.set("profile", new ProfileTable(times.rows(), steps).json());
            }
            console().result(json);
            return;
        }
        Table.ofTexts()
                .row("tokens_per_second", Units.fixed(tokensPerSecond, 1))
                .row("step_ms", Units.fixed(stepMillis, 1))
                .row("peak_rss_bytes", peak.isPresent() ? Long.toString(peak.getAsLong()) : "unknown")
                .row("engine", base.engine().name() + ": " + base.engine().description())
                .row(
                        "run",
                        shape + ", " + compute + ", batch " + batch + " x " + seq + ", rank " + rank
                                + (dora ? ", DoRA" : "")
                                + (adapters > 1 ? ", " + adapters + " adapters" : "") + ", median of "
                                + Units.counted(steps, "step"))
                .lines()
                .forEach(console()::result);
        if (profile) {
            new ProfileTable(times.rows(), steps).lines().forEach(console()::result);
        }
    }
}
