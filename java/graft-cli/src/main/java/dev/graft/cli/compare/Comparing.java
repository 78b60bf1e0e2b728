package dev.graft.cli.compare;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.tasks.FewShotTask;
import dev.graft.cli.tasks.Split;
import dev.graft.cli.world.EmbeddedBase;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LinearModule;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.ConfigReader;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.model.PretrainedModel;
import dev.graft.train.Method;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A comparison from what was asked for to its result. */
public final class Comparing {
    private static final int QUESTIONS = 64;
    private static final int QUICK_QUESTIONS = 48;
    private static final int TIMING_ROUNDS = 41;
    private static final int QUICK_TIMING_ROUNDS = 15;
    private static final int SEQUENCE_LENGTH = 1024;
    private static final int PLAIN_STEPS = 40;
    private static final int QUICK_PLAIN_STEPS = 20;

    private final Console console;
    private final Engine engine;
    private final CompareRequest request;
    private final String command;
    private final Path scratch;

    /**
     * @param command as typed, for the report
     * @param scratch a folder for models and adapters
     */
    public Comparing(Console console, Engine engine, CompareRequest request, String command, Path scratch) {
        this.console = console;
        this.engine = engine;
        this.request = request;
        this.command = command;
        this.scratch = scratch;
    }

    /** Measures everything. */
    public CompareResult run() {
        return switch (request.source()) {
            case CompareRequest.Source.Generated generated -> generated(generated);
            case CompareRequest.Source.Own own -> own(own);
        };
    }

    private CompareResult generated(CompareRequest.Source.Generated source) {
        FewShotTask task = source.task();
        Path model = scratch.resolve("base");
        EmbeddedBase.unpack(model);
        try (ModelText text = new ModelText(model)) {
            GeneratedTask compared =
                    new GeneratedTask(task, text.tokenizer(), request.quick() ? QUICK_QUESTIONS : QUESTIONS);
            return compare(model, compared, startLearning(task, model, text.tokenizer()));
        }
    }

    private @Nullable StartLearning startLearning(FewShotTask task, Path model, Tokenizer tokenizer) {
        if (!request.methods().contains(CompareRequest.META)) {
            return null;
        }
        if (task.split() == Split.TRAIN) {
            String reason = "--task " + task.kind().label() + "/" + task.seed()
                    + " is one of those that starts are learned from";
            if (request.wanted() != null) {
                throw new InputException(reason + "; name another, or leave out --methods " + CompareRequest.META);
            }
            console.note(reason + ": " + CompareRequest.META + " is left out");
            return null;
        }
        return new StartLearning(
                console,
                engine,
                model,
                PretrainedModel.supported(engine, request.precision()),
                task.kind(),
                tokenizer,
                request.metaSteps());
    }

    private CompareResult own(CompareRequest.Source.Own source) {
        int vocabulary = ConfigReader.read(source.model()).vocabSize();
        try (ModelText text = new ModelText(source.model())) {
            List<Example> rows =
                    text.read(source.data(), SEQUENCE_LENGTH, vocabulary).examples();
            List<Example> heldOut =
                    text.read(source.evalData(), SEQUENCE_LENGTH, vocabulary).examples();
            List<Example> baseText = source.baseData() == null
                    ? List.of()
                    : text.read(source.baseData(), SEQUENCE_LENGTH, vocabulary).examples();
            return compare(source.model(), new UserTask(source.data(), rows, heldOut, baseText), null);
        }
    }

    private CompareResult compare(Path model, CompareTask task, @Nullable StartLearning startLearning) {
        long begin = System.nanoTime();
        Precision precision = PretrainedModel.supported(engine, request.precision());
        request.shots().forEach(shots -> task.support(shots, 0)); // there are so many, or this says so
        Comparison comparison = new Comparison(
                console,
                engine,
                model,
                precision,
                task,
                new Comparison.Settings(
                        request.shots(),
                        request.seeds(),
                        request.steps(),
                        request.batchSize(),
                        request.quick() ? QUICK_TIMING_ROUNDS : TIMING_ROUNDS),
                scratch);
        DecoderConfig config = ConfigReader.read(model);
        LearnedStart start = null;
        List<Contestant> contestants = contestants(config);
        if (startLearning != null) {
            Path adapter = scratch.resolve("learned-start");
            Method.Lora lora = lora(config, middleRank(), false);
            start = startLearning.learn(lora, request.quick() ? QUICK_PLAIN_STEPS : PLAIN_STEPS, adapter);
            PeftAdapter learned = PeftAdapter.read(adapter);
            contestants.add(
                    new Contestant(CompareRequest.META, lora, learned, request.learningRate(CompareRequest.META)));
        }
        List<CompareRow> rows = new ArrayList<>();
        rows.add(comparison.base());
        contestants.forEach(contestant -> rows.addAll(comparison.run(contestant)));
        List<Claim> claims = new ArrayList<>(Claim.of(rows, middleRank()));
        contestants.stream()
                .filter(contestant -> contestant.name().equals(CompareRequest.LORA))
                .reduce((first, last) -> last)
                .ifPresent(lora -> claims.addAll(comparison.claims(lora)));
        if (start != null) {
            claims.addAll(start.claims());
        }
        return new CompareResult(
                task.name(),
                command,
                engine.description() + ", " + Units.counted(Runtime.getRuntime().availableProcessors(), "processor"),
                LocalDate.now().toString(),
                (System.nanoTime() - begin) / 1e9,
                request.seeds(),
                request.steps(),
                comparison.basePerplexity(),
                rows,
                claims,
                start);
    }

    private List<Contestant> contestants(DecoderConfig config) {
        List<Contestant> contestants = new ArrayList<>();
        for (String method : request.methods()) {
            switch (method) {
                case CompareRequest.LORA ->
                    request.ranks().forEach(rank -> contestants.add(contestant(method, lora(config, rank, false))));
                case CompareRequest.DORA -> contestants.add(contestant(method, lora(config, middleRank(), true)));
                case CompareRequest.FULL -> contestants.add(contestant(method, new Method.Full()));
                case CompareRequest.ADAPTER -> contestants.add(contestant(method, bottlenecks(config)));
                default -> {} // what starts from a learned adapter comes when that is learned
            }
        }
        return contestants;
    }

    private int middleRank() {
        return request.ranks().get(request.ranks().size() / 2);
    }

    /** Modules about as large as LoRA of the middle rank. */
    private Method.Adapter bottlenecks(DecoderConfig config) {
        long wanted = lora(config, middleRank(), false).trainableCount(config);
        long ofOneUnit = new BottleneckConfig(1, BottleneckConfig.Placement.HOULSBY)
                .parameterCount(config.hiddenSize(), config.layers());
        int size = (int) Math.max(1, Math.round((double) wanted / ofOneUnit));
        return new Method.Adapter(new BottleneckConfig(size, BottleneckConfig.Placement.HOULSBY));
    }

    private Contestant contestant(String name, Method method) {
        return new Contestant(name, method, null, request.learningRate(name));
    }

    /** Alpha is twice the rank, so that all ranks have the same scale. */
    private static Method.Lora lora(DecoderConfig config, int rank, boolean dora) {
        LoraConfig lora =
                LoraConfig.builder().rank(rank).alpha(2.0 * rank).dora(dora).build();
        List<LinearModule> modules = Decoder.linearModules(config);
        return new Method.Lora(lora, TargetMatcher.match(lora, modules));
    }
}
