package dev.graft.cli.quickstart;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.cli.run.FileSize;
import dev.graft.cli.run.TrainProgress;
import dev.graft.cli.tasks.ExactMatch;
import dev.graft.cli.world.BaseText;
import dev.graft.cli.world.EmbeddedBase;
import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.QuickstartTask;
import dev.graft.data.ChatTemplate;
import dev.graft.data.Dataset;
import dev.graft.data.DatasetReader;
import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.LanguageModel;
import dev.graft.model.LoraModel;
import dev.graft.model.ModelMerger;
import dev.graft.model.PretrainedModel;
import dev.graft.model.WeightShape;
import dev.graft.train.Evaluator;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.Trainer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/** The quickstart's steps, in order. */
public final class Quickstart {
    private static final LoraConfig LORA =
            LoraConfig.builder().rank(8).alpha(16).init(AdapterInit.GAUSSIAN).build();

    private static final TrainConfig TRAINING = TrainConfig.builder()
            .epochs(8)
            .batchSize(8)
            .learningRate(2e-3)
            .warmupSteps(4)
            .schedule(LearningRateSchedule.COSINE)
            .build();

    private static final int SEQUENCE_LENGTH = 256;
    private static final int EVALUATION_BATCH = 16;

    private final Console console;
    private final Engine engine;
    private final Path out;
    private final Path modelFolder;
    private final List<Exercise> heldOut = QuickstartTask.heldOut();

    /** @param out where everything is written */
    public Quickstart(Console console, Engine engine, Path out) {
        this.console = console;
        this.engine = engine;
        this.out = out;
        this.modelFolder = out.resolve("base");
    }

    /** Runs it all. */
    public QuickstartResult run() {
        EmbeddedBase.unpack(modelFolder);
        writeLines(out.resolve("train.jsonl"), QuickstartTask.train());
        writeLines(out.resolve("held-out.jsonl"), heldOut);
        try (Tokenizer tokenizer = Tokenizer.load(modelFolder);
                PretrainedModel base = PretrainedModel.load(modelFolder, engine, Precision.BF16)) {
            return run(base, tokenizer);
        }
    }

    private QuickstartResult run(PretrainedModel base, Tokenizer tokenizer) {
        List<Example> stories = BaseText.rows(tokenizer);
        long frozenBefore = base.residentFingerprint();
        console.info("asking the base model " + heldOut.size() + " questions that it was never taught to answer");
        ExactMatch before = ExactMatch.of(base, tokenizer, heldOut);
        double perplexityBefore = perplexity(base, stories);

        LoraModel adapted = base.attach(LORA, TRAINING.seed());
        List<Double> losses = train(adapted, tokenizer);
        Path adapterFolder = out.resolve("adapter");
        adapted.save(adapterFolder);

        console.info("asking again, with the adapter");
        ExactMatch after = ExactMatch.of(adapted, tokenizer, heldOut);
        double perplexityOff = perplexity(base, stories);
        double perplexityOn = perplexity(adapted, stories);
        long frozenAfter = base.residentFingerprint();

        console.info("merging the adapter into a copy of the base, and asking that");
        Path mergedFolder = out.resolve("merged");
        ModelMerger.merge(adapted, mergedFolder);
        Dataset answers = read(out.resolve("held-out.jsonl"), tokenizer);
        double adaptedLoss = loss(adapted, answers.examples());
        double mergedLoss;
        ExactMatch merged;
        try (PretrainedModel mergedModel = PretrainedModel.load(mergedFolder, engine, base.precision())) {
            merged = ExactMatch.of(mergedModel, tokenizer, heldOut);
            mergedLoss = loss(mergedModel, answers.examples());
        }
        writeAnswers(out.resolve("answers.jsonl"), before, after, merged);
        Path plot = out.resolve("loss.png");
        LossPlot.write(plot, "LoRA on 64 examples: training loss", losses);

        long parameters = WeightShape.of(base.config()).stream()
                .mapToLong(WeightShape::size)
                .sum();
        return new QuickstartResult(
                heldOut.getFirst().prompt(),
                before.answers().getFirst(),
                after.answers().getFirst(),
                before.percent(),
                after.percent(),
                merged.percent(),
                after.agreement(merged),
                heldOut.size(),
                adaptedLoss,
                mergedLoss,
                adapted.adapter().parameterCount(),
                parameters,
                FileSize.of(adapterFolder.resolve(PeftAdapter.WEIGHTS_FILE)),
                FileSize.of(modelFolder.resolve("model.safetensors")),
                perplexityBefore,
                perplexityOff,
                perplexityOn,
                HexFormat.of().toHexDigits(frozenBefore),
                HexFormat.of().toHexDigits(frozenAfter),
                losses.getFirst(),
                losses.getLast(),
                adapterFolder,
                mergedFolder,
                plot);
    }

    private List<Double> train(LoraModel model, Tokenizer tokenizer) {
        List<Example> data = read(out.resolve("train.jsonl"), tokenizer).examples();
        console.info("training " + Units.count(model.adapter().parameterCount()) + " numbers on " + data.size()
                + " examples");
        List<Double> losses = new ArrayList<>();
        TrainProgress progress = new TrainProgress(console) {
            @Override
            public void onStep(StepMetrics metrics) {
                super.onStep(metrics);
                losses.add(metrics.loss());
            }
        };
        try (Trainer trainer = new Trainer(model, data, null, TRAINING)) {
            trainer.output(out.resolve("adapter"), false).train(progress);
        } finally {
            console.endLive();
        }
        return losses;
    }

    private Dataset read(Path file, Tokenizer tokenizer) {
        return DatasetReader.read(
                file, () -> tokenizer, () -> ChatTemplate.load(modelFolder), SEQUENCE_LENGTH, tokenizer.vocabSize());
    }

    private double perplexity(LanguageModel model, List<Example> rows) {
        return Math.exp(loss(model, rows));
    }

    private double loss(LanguageModel model, List<Example> rows) {
        return Evaluator.evaluate(model, rows, EVALUATION_BATCH).loss();
    }

    /** What each model said to each held-out question, to look at. */
    private void writeAnswers(Path file, ExactMatch before, ExactMatch after, ExactMatch merged) {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < heldOut.size(); i++) {
            lines.append(Json.mapper()
                            .createObjectNode()
                            .put("prompt", heldOut.get(i).prompt())
                            .put("expected", heldOut.get(i).completion())
                            .put("base", before.answers().get(i))
                            .put("adapted", after.answers().get(i))
                            .put("merged", merged.answers().get(i)))
                    .append('\n');
        }
        AtomicFiles.writeString(file, lines.toString());
    }

    private static void writeLines(Path file, List<Exercise> examples) {
        AtomicFiles.writeString(
                file, examples.stream().map(Exercise::toJsonLine).collect(Collectors.joining("\n", "", "\n")));
    }
}
