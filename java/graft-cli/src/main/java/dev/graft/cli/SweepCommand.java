package dev.graft.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.TrainOptions;
import dev.graft.cli.options.TrainRequest;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.run.OutputFolder;
import dev.graft.cli.run.Sweep;
import dev.graft.cli.run.SweepPoint;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.Precision;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Checkpoint;
import dev.graft.io.Json;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.FrozenWeights;
import dev.graft.model.PretrainedModel;
import dev.graft.train.Method;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft sweep}: ranks, alphas and learning rates, trained together over one frozen base. */
@Command(
        name = "sweep",
        customSynopsis = "graft sweep --model DIR --data FILE --eval-data FILE --out DIR [OPTION]...",
        description = {
            "Trains adapters of several ranks, alphas and learning rates at once over one frozen base, and keeps the one with the",
            "least loss on --eval-data. Takes the flags of train; --rank, --alpha and --lr are what the lists do not say."
        },
        footer = {
            "  graft sweep --model DIR --data rows.jsonl --eval-data held-out.jsonl --out best \\",
            "      --ranks 4,8,16 --lrs 1e-4,3e-4,1e-3"
        })
final class SweepCommand extends BaseCommand {
    @Mixin
    private final TrainOptions options = new TrainOptions();

    @Option(names = "--data", paramLabel = "FILE", required = true, description = "Rows to train on, JSON lines.")
    private Path dataFile = Path.of("");

    @Option(names = "--out", paramLabel = "DIR", required = true, description = "Where the best adapter goes.")
    private Path out = Path.of("");

    @Option(names = "--ranks", paramLabel = "R,...", split = ",", description = "Ranks to try.")
    private List<Integer> ranks = new ArrayList<>();

    @Option(
            names = "--alphas",
            paramLabel = "X,...",
            split = ",",
            description = "Alphas to try (default: in proportion to the rank).")
    private List<Double> alphas = new ArrayList<>();

    @Option(names = "--lrs", paramLabel = "X,...", split = ",", description = "Learning rates to try.")
    private List<Double> learningRates = new ArrayList<>();

    @Option(
            names = "--at-once",
            paramLabel = "N",
            description = "Adapters trained together (default: all, as far as there is memory).")
    private @Nullable Integer atOnce;

    @Option(names = "--keep-all", description = "Also save every other adapter, in folders beside the best.")
    private boolean keepAll;

    @Option(
            names = "--compare-alone",
            description =
                    "Also train each by itself, and say how much faster together was and how close the losses are.")
    private boolean compareAlone;

    @Option(names = "--force", description = "Overwrite what an earlier run left in --out.")
    private boolean force;

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    SweepCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        TrainRequest request = options.request();
        if (request.evalData() == null) {
            throw new InputException("sweep needs --eval-data, the held-out rows that decide which adapter is best");
        }
        if (request.start() != null) {
            throw new InputException("--init-adapter: a sweep starts from new adapters; leave it out");
        }
        if (atOnce != null && atOnce < 1) {
            throw new InputException("--at-once " + atOnce + ": must be at least 1");
        }
        Method.Lora lora = request.requireLora("sweep");
        if (lora.config().init().changesBase()) {
            throw new InputException("--init " + lora.config().init()
                    + " changes the frozen weights, which the adapters of a sweep share; use gaussian or kaiming");
        }
        List<SweepPoint> points = SweepPoint.grid(lora.config(), request.train(), ranks, alphas, learningRates);
        if (!lora.config().modulesToSave().isEmpty() && mostAtOnce(points) > 1) {
            throw new InputException("--modules-to-save gives every adapter whole weights of its own, which cannot be"
                    + " trained together; give --at-once 1");
        }
        OutputFolder folder = OutputFolder.of(out, request);
        folder.requireFree(force);
        List<Example> data;
        List<Example> evalData;
        try (ModelText text = new ModelText(request.model())) {
            data = text.read(dataFile, request.seqLen(), request.config().vocabSize())
                    .examples();
            evalData = text.read(
                            request.evalData(),
                            request.seqLen(),
                            request.config().vocabSize())
                    .examples();
        }
        Method.Lora largest = largest(request, points);
        try (Engine engine = engineOptions.open(new Method.JointLora(largest, mostAtOnce(points)))) {
            Precision precision = PretrainedModel.supported(engine, request.precision());
            int together = together(
                    request,
                    engine,
                    precision,
                    points,
                    largest,
                    TrainingSize.of(data, evalData, batchSize(points)).with(request.train()));
            folder.requireWritable();
            folder.deleteCheckpoints(console());
            try (PretrainedModel base = PretrainedModel.load(request.model(), engine, precision)) {
                return sweep(new Sweep(base, data, evalData), points, together, folder);
            }
        }
    }

    private static int batchSize(List<SweepPoint> points) {
        return points.getFirst().train().batchSize();
    }

    private int mostAtOnce(List<SweepPoint> points) {
        return Math.min(points.size(), atOnce == null ? points.size() : atOnce);
    }

    /** The adapter of the highest rank. */
    private static Method.Lora largest(TrainRequest request, List<SweepPoint> points) {
        int rank = points.stream().mapToInt(point -> point.lora().rank()).max().orElseThrow();
        LoraConfig config = request.requireLora("sweep").config();
        LoraConfig largest = config.withRank(rank, config.alpha());
        return new Method.Lora(largest, TargetMatcher.match(largest, Decoder.linearModules(request.config())));
    }

    /** How many adapters go at once: as many as asked for, or as fit. */
    private int together(
            TrainRequest request,
            Engine engine,
            Precision precision,
            List<SweepPoint> points,
            Method.Lora each,
            TrainingSize size) {
        int most = mostAtOnce(points);
        try (Checkpoint checkpoint = Checkpoint.open(request.model())) {
            MemoryPlan frozen = FrozenWeights.plan(engine, checkpoint, request.config(), precision);
            int fitting = Sweep.fitting(
                    adapters -> TrainingPlan.of(
                            frozen,
                            engine.bufferLayout(),
                            request.config(),
                            precision,
                            new Method.JointLora(each, adapters),
                            size),
                    engine,
                    most);
            console()
                    .note(Units.counted(points.size(), "adapter") + ", " + fitting + " at once"
                            + (fitting < most ? ", which is what the memory allows" : ""));
            return fitting;
        }
    }

    private int sweep(Sweep sweep, List<SweepPoint> points, int together, OutputFolder folder) {
        List<Sweep.Result> results;
        try {
            results = sweep.run(
                    points,
                    together,
                    step -> console()
                            .live("step " + step.step() + "/" + step.totalSteps() + "  "
                                    + Units.fixed(step.tokensPerSecond(), 0) + " tokens/s"));
        } finally {
            console().endLive();
        }
        Sweep.Result best = results.getFirst();
        if (!Double.isFinite(best.evalLoss())) {
            throw new InputException("every run diverged; try smaller --lrs or add --warmup-steps");
        }
        Sweep.Alone alone = compareAlone ? sweep.runAlone(results) : null;
        save(results);
        folder.deleteOtherWeights(Set.of(PeftAdapter.WEIGHTS_FILE));
        ObjectNode json = json(results, sweep, together, alone);
        AtomicFiles.writeString(out.resolve("sweep.json"), Json.pretty(json));
        if (output.isJson()) {
            console().result(json);
        } else {
            table(results, sweep, alone).forEach(console()::result);
        }
        return EXIT_OK;
    }

    private void save(List<Sweep.Result> results) {
        results.getFirst().model().save(out);
        if (keepAll) {
            for (Sweep.Result result : results) {
                result.model().save(out.resolve(result.point().name()));
            }
        }
    }

    private List<String> table(List<Sweep.Result> results, Sweep sweep, Sweep.@Nullable Alone alone) {
        Table table = Table.ofNumbers().row("rank", "alpha", "lr", "trained", "loss", "eval loss");
        for (Sweep.Result result : results) {
            LoraConfig lora = result.point().lora();
            table.row(
                    Integer.toString(lora.rank()),
                    Units.plain(lora.alpha()),
                    Units.plain(result.point().train().learningRate()),
                    Units.count(result.trainable()),
                    Units.fixed(result.loss(), 4),
                    Double.isFinite(result.evalLoss()) ? Units.fixed(result.evalLoss(), 4) : "diverged");
        }
        List<String> lines = new ArrayList<>(table.lines());
        lines.add("");
        Table facts = Table.ofTexts()
                .row("best", results.getFirst().point().name() + " in " + out)
                .row("training", Units.duration(sweep.seconds()));
        if (alone != null) {
            facts.row(
                    "one by one",
                    Units.duration(alone.seconds()) + ", " + Units.fixed(alone.seconds() / sweep.seconds(), 2)
                            + " times as long; last losses differ by " + alone.largestDifference() + " at most");
        }
        lines.addAll(facts.lines());
        return lines;
    }

    private ObjectNode json(List<Sweep.Result> results, Sweep sweep, int together, Sweep.@Nullable Alone alone) {
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("at_once", together);
        json.put("seconds", sweep.seconds());
        if (alone != null) {
            json.put("seconds_one_by_one", alone.seconds());
            json.put("ratio", alone.seconds() / sweep.seconds());
            json.put("largest_loss_difference", alone.largestDifference());
        }
        json.put("best", results.getFirst().point().name());
        ArrayNode rows = json.putArray("rows");
        for (Sweep.Result result : results) {
            rows.addObject()
                    .put("name", result.point().name())
                    .put("rank", result.point().lora().rank())
                    .put("alpha", result.point().lora().alpha())
                    .put("lr", result.point().train().learningRate())
                    .put("trainable", result.trainable())
                    .put("loss", result.loss())
                    .put("eval_loss", result.evalLoss());
        }
        return json;
    }
}
