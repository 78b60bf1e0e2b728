package dev.graft.cli.compare;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.TrainRequest;
import dev.graft.cli.run.FileSize;
import dev.graft.cli.run.Median;
import dev.graft.cli.run.OpenTrainable;
import dev.graft.cli.run.PlanReport;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Checkpoint;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.ConfigReader;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.model.LanguageModel;
import dev.graft.model.LoraModel;
import dev.graft.model.ModelMerger;
import dev.graft.model.PretrainedModel;
import dev.graft.train.Evaluator;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.Method;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.Trainer;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Trains every contestant on every number of shots and every seed, and judges each by the same held-out rows. Models are opened
 * and closed one at a time.
 */
final class Comparison {
    private static final int EVALUATION_BATCH = 16;
    private static final int TIMED_TOKENS = 48;
    private static final int MAX_SEQUENCE = 1024;

    /**
     * How all are trained.
     *
     * @param shots numbers of examples to learn from, ascending
     * @param seeds runs of each, over which figures are averaged
     * @param steps of a run
     * @param batchSize rows of a step, or all shots where there are fewer
     * @param timingRounds in which the time of a token is measured
     */
    record Settings(List<Integer> shots, int seeds, int steps, int batchSize, int timingRounds) {}

    /** What one run gave. */
    private record Run(double score, double loss, double forgetting, double stepMs) {}

    private final Console console;
    private final Engine engine;
    private final Path modelFolder;
    private final Precision precision;
    private final CompareTask task;
    private final Settings settings;
    private final Path scratch;
    private final DecoderConfig config;
    private final double basePerplexity;

    /** @param scratch a folder for adapters and merged models, which stay there */
    Comparison(
            Console console,
            Engine engine,
            Path modelFolder,
            Precision precision,
            CompareTask task,
            Settings settings,
            Path scratch) {
        this.console = console;
        this.engine = engine;
        this.modelFolder = modelFolder;
        this.precision = precision;
        this.task = task;
        this.settings = settings;
        this.scratch = scratch;
        this.config = ConfigReader.read(modelFolder);
        try (PretrainedModel base = PretrainedModel.load(modelFolder, engine, precision)) {
            this.basePerplexity = task.baseText().isEmpty() ? Double.NaN : perplexity(base);
        }
    }

    /** Perplexity of the base on its own kind of text; NaN where there is none. */
    double basePerplexity() {
        return basePerplexity;
    }

    /** The model as it is: what all others are compared with. */
    CompareRow base() {
        console.note("the base model as it is");
        try (PretrainedModel base = PretrainedModel.load(modelFolder, engine, precision)) {
            TokenClock.Reading reading = clock().measure(List.of(base)).getFirst();
            return new CompareRow(
                    "base",
                    null,
                    0,
                    0,
                    0,
                    0,
                    0,
                    Double.NaN,
                    0,
                    Spread.once(task.score(base)),
                    Spread.once(loss(base, task.heldOut())),
                    Spread.once(Double.isNaN(basePerplexity) ? Double.NaN : 1),
                    new CompareRow.TokenMs(reading.ms(), null, 1, null));
        }
    }

    /** All rows of one contestant; none, with a warning, where it needs more memory than there is or its training failed. */
    List<CompareRow> run(Contestant contestant) {
        for (int shots : settings.shots()) {
            long needed = plan(contestant, shots).allocatedBytes();
            if (needed > engine.availableBytes()) {
                console.warn(contestant.label() + " is left out: training it takes " + Units.bytes(needed)
                        + " of memory, " + Units.bytes(engine.availableBytes()) + " are available");
                return List.of();
            }
        }
        try {
            return train(contestant);
        } catch (InputException failed) {
            String what = Objects.requireNonNullElse(failed.getMessage(), "failed");
            console.warn(contestant.label() + " is left out: " + what.split(";")[0] + "; another rate for it is --lrs "
                    + contestant.name() + "=X");
            return List.of();
        }
    }

    private List<CompareRow> train(Contestant contestant) {
        List<CompareRow> rows = new ArrayList<>();
        CompareRow.@Nullable TokenMs tokenMs = null;
        long bytes = 0;
        for (int i = settings.shots().size() - 1; i >= 0; i--) {
            int shots = settings.shots().get(i);
            List<Run> runs = new ArrayList<>();
            for (int seed = 0; seed < settings.seeds(); seed++) {
                List<Example> support = task.support(shots, seed);
                try (OpenTrainable open =
                        OpenTrainable.open(request(contestant, shots, seed), engine, precision, true)) {
                    runs.add(train(open, support, contestant, shots, seed));
                    if (tokenMs == null) { // it does not depend on what was learnt
                        Path saved = scratch.resolve(contestant.label().replace(' ', '-'));
                        open.model().save(saved);
                        bytes = FileSize.of(saved.resolve(open.weightsFile()));
                        tokenMs = tokenMs(open, saved.resolveSibling(saved.getFileName() + "-merged"));
                    }
                }
            }
            rows.addFirst(row(contestant, shots, runs, bytes, tokenMs));
            console.note(line(rows.getFirst()));
        }
        return rows;
    }

    /** What takes runs of its own to tell: where training starts, and what α does. */
    List<Claim> claims(Contestant lora) {
        List<Claim> claims = new ArrayList<>();
        claims.add(start(lora));
        try {
            claims.add(alpha(lora));
        } catch (InputException diverged) {
            console.warn("what alpha does could not be told: " + diverged.getMessage());
        }
        return claims;
    }

    private Claim start(Contestant lora) {
        try (OpenTrainable open = OpenTrainable.open(request(lora, 1, 0), engine, precision, true);
                PretrainedModel base = PretrainedModel.load(modelFolder, engine, precision)) {
            double before = loss(base, task.heldOut());
            double difference = loss(open.model(), task.heldOut()) - before;
            return new Claim(
                    "training starts exactly at the pre-trained model",
                    "the held-out loss of a new adapter is the base's, " + Units.fixed(before, 4)
                            + (difference == 0 ? ", to the last bit" : " plus " + difference),
                    difference == 0);
        }
    }

    /**
     * AdamW moves A and B by as much whatever their gradients' size, so that what the weights W move by goes with α as it goes with
     * the learning rate: 2α should train like twice the rate.
     */
    private Claim alpha(Contestant contestant) {
        Method.Lora lora = (Method.Lora) contestant.method();
        LoraConfig doubled =
                lora.config().withRank(lora.config().rank(), 2 * lora.config().alpha());
        Contestant alpha = new Contestant(
                "alpha x 2",
                new Method.Lora(doubled, TargetMatcher.match(doubled, Decoder.linearModules(config))),
                null,
                contestant.learningRate());
        Contestant rate = new Contestant("rate x 2", lora, null, 2 * contestant.learningRate());
        double[] plainLosses = losses(contestant);
        double[] alphaLosses = losses(alpha);
        double[] rateLosses = losses(rate);
        double apart = distance(alphaLosses, rateLosses);
        double effect = distance(plainLosses, rateLosses);
        return new Claim(
                "alpha acts like a learning rate",
                "losses of a run with twice alpha differ by " + Units.fixed(100 * apart, 1)
                        + " % from those with twice the rate, by which the rate changes them: "
                        + Units.fixed(100 * effect, 1) + " %",
                apart < effect / 2);
    }

    /** Training losses, step by step, of one run. */
    private double[] losses(Contestant contestant) {
        int shots = settings.shots().getLast();
        TrainRequest request = request(contestant, shots, 0);
        List<Double> losses = new ArrayList<>();
        try (OpenTrainable open = OpenTrainable.open(request, engine, precision, true);
                Trainer trainer = new Trainer(open.model(), task.support(shots, 0), null, request.train())) {
            trainer.train((StepMetrics metrics) -> losses.add(metrics.loss()));
        }
        return losses.stream().mapToDouble(Double::doubleValue).toArray();
    }

    /** The root mean square of the logarithm of two runs' losses' ratio. */
    private static double distance(double[] one, double[] other) {
        double sum = 0;
        for (int i = 0; i < one.length; i++) {
            double log = Math.log(one[i] / other[i]);
            sum += log * log;
        }
        return Math.sqrt(sum / one.length);
    }

    private String line(CompareRow row) {
        return row.label() + ", " + Units.counted(row.shots(), "shot") + ": "
                + (Double.isNaN(row.score().mean())
                        ? ""
                        : Units.fixed(row.score().mean(), 1) + " % right, ")
                + "held-out loss " + Units.fixed(row.loss().mean(), 3);
    }

    private TrainRequest request(Contestant contestant, int shots, int seed) {
        TrainConfig train = TrainConfig.builder()
                .steps(settings.steps())
                .batchSize(Math.min(shots, settings.batchSize()))
                .learningRate(contestant.learningRate())
                .schedule(LearningRateSchedule.COSINE)
                .warmupSteps(Math.min(4, settings.steps() / 4))
                .seed(seed)
                .build();
        return new TrainRequest(
                modelFolder, config, contestant.method(), contestant.start(), train, precision, MAX_SEQUENCE, null);
    }

    private Run train(OpenTrainable open, List<Example> support, Contestant contestant, int shots, int seed) {
        List<Double> stepMs = new ArrayList<>();
        String label = contestant.label() + ", " + shots + " shots, seed " + seed;
        try (Trainer trainer = new Trainer(
                open.model(), support, null, request(contestant, shots, seed).train())) {
            trainer.train((StepMetrics metrics) -> {
                stepMs.add(1e3 * metrics.tokens() / metrics.tokensPerSecond());
                console.live(label + ": step " + metrics.step() + "/" + metrics.totalSteps());
            });
        } finally {
            console.endLive();
        }
        double perplexity = task.baseText().isEmpty() ? Double.NaN : perplexity(open.model());
        return new Run(
                task.score(open.model()),
                loss(open.model(), task.heldOut()),
                perplexity / basePerplexity,
                Median.of(stepMs.stream().mapToDouble(Double::doubleValue).toArray()));
    }

    private CompareRow row(Contestant contestant, int shots, List<Run> runs, long bytes, CompareRow.TokenMs tokenMs) {
        long trainable = contestant.method().trainableCount(config);
        return new CompareRow(
                contestant.name(),
                contestant.rank(),
                shots,
                contestant.learningRate(),
                trainable,
                (double) trainable / PlanReport.allParameters(contestant.method(), config),
                bytes,
                Median.of(runs.stream().mapToDouble(Run::stepMs).toArray()),
                plan(contestant, shots).total().totalBytes(),
                Spread.of(runs.stream().map(Run::score).toList()),
                Spread.of(runs.stream().map(Run::loss).toList()),
                Spread.of(runs.stream().map(Run::forgetting).toList()),
                tokenMs);
    }

    /** The memory of training on the largest support of any seed. */
    private TrainingPlan plan(Contestant contestant, int shots) {
        int maxRows = 0;
        int maxPositions = 0;
        for (int seed = 0; seed < settings.seeds(); seed++) {
            TrainingSize size = TrainingSize.of(task.support(shots, seed), null, Math.min(shots, settings.batchSize()));
            maxRows = Math.max(maxRows, size.maxRows());
            maxPositions = Math.max(maxPositions, size.maxPositions());
        }
        try (Checkpoint checkpoint = Checkpoint.open(modelFolder)) {
            return TrainingPlan.of(
                    engine,
                    checkpoint,
                    config,
                    precision,
                    contestant.method(),
                    new TrainingSize(maxRows, maxPositions));
        }
    }

    private CompareRow.TokenMs tokenMs(OpenTrainable open, Path mergedFolder) {
        try (PretrainedModel base = PretrainedModel.load(modelFolder, engine, precision)) {
            if (!(open.model() instanceof LoraModel lora)) {
                List<TokenClock.Reading> readings = clock().measure(List.of(base, open.model()));
                TokenClock.Reading own = readings.getLast();
                return new CompareRow.TokenMs(own.ms(), null, own.ratio(), null);
            }
            ModelMerger.merge(lora, mergedFolder);
            try (PretrainedModel merged = PretrainedModel.load(mergedFolder, engine, precision)) {
                List<TokenClock.Reading> readings = clock().measure(List.of(base, lora, merged));
                return new CompareRow.TokenMs(
                        readings.get(1).ms(),
                        readings.get(2).ms(),
                        readings.get(1).ratio(),
                        readings.get(2).ratio());
            } finally {
                AtomicFiles.deleteTree(mergedFolder);
            }
        }
    }

    private TokenClock clock() {
        return new TokenClock(task.prompt(), TIMED_TOKENS, settings.timingRounds());
    }

    private double perplexity(LanguageModel model) {
        return Math.exp(loss(model, task.baseText()));
    }

    private double loss(LanguageModel model, List<Example> rows) {
        return Evaluator.evaluate(model, rows, EVALUATION_BATCH).loss();
    }
}
