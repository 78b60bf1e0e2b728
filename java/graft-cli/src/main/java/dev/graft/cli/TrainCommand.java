package dev.graft.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.TrainOptions;
import dev.graft.cli.options.TrainRequest;
import dev.graft.cli.run.BatchLengths;
import dev.graft.cli.run.Interrupts;
import dev.graft.cli.run.MemoryCheck;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.run.OpenModel;
import dev.graft.cli.run.OutputFolder;
import dev.graft.cli.run.PlanReport;
import dev.graft.cli.run.SavedRun;
import dev.graft.cli.run.TrainProgress;
import dev.graft.data.Dataset;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.io.Json;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.train.EvalMetrics;
import dev.graft.train.StepMetrics;
import dev.graft.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft train}: flags, data, engine, memory, model, steps, adapter. */
@Command(
        name = "train",
        customSynopsis = "graft train --model DIR --data FILE --out DIR [OPTION]...",
        description = "Trains a LoRA adapter on a frozen base model.",
        footer = {
            "  graft train --model DIR --data rows.jsonl --out adapter",
            "  graft train --model DIR --data rows.jsonl --out adapter --rank 8 \\",
            "      --targets q_proj,v_proj --epochs 3 --save-every 100 \\",
            "      --eval-data held-out.jsonl --eval-every 50",
            "  graft train ... --resume    # the same command again, after Ctrl-C or a crash",
            "",
            "A data line is one JSON object:",
            "  {\"text\": …}  {\"prompt\": …, \"completion\": …}  {\"messages\": […]}",
            "  {\"input_ids\": […], \"labels\": […]}, which needs no tokenizer"
        })
final class TrainCommand extends BaseCommand {
    @Mixin
    private final TrainOptions options = new TrainOptions();

    @Option(names = "--data", paramLabel = "FILE", required = true, description = "Rows to train on, JSON lines.")
    private Path dataFile = Path.of("");

    @Option(names = "--out", paramLabel = "DIR", required = true, description = "Where the adapter goes.")
    private Path out = Path.of("");

    @Option(names = "--resume", description = "Go on from the newest checkpoint in --out.")
    private boolean resume;

    @Option(names = "--verify-frozen", description = "Prove that not one bit of the frozen weights changed.")
    private boolean verifyFrozen;

    @Option(
            names = "--force",
            description = "Overwrite what an earlier run left in --out; take an --init-adapter of another base.")
    private boolean force;

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    TrainCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        TrainRequest request = options.request();
        OutputFolder folder = OutputFolder.of(out, request.model());
        folder.requireFree(resume, force);
        Dataset data;
        Dataset evalData;
        try (ModelText text = new ModelText(request.model())) {
            data = text.read(dataFile, request.seqLen(), request.config().vocabSize());
            evalData = readEvalData(text, request);
        }
        warnOfLongRows(request, data);
        try (Engine engine = engineOptions.open()) {
            Precision precision = PretrainedModel.supported(engine, request.precision());
            checkMemory(request, engine, precision, BatchLengths.of(data, evalData));
            folder.requireWritable();
            try (PretrainedModel base = PretrainedModel.load(request.model(), engine, precision)) {
                LoraModel model = attach(base, request);
                folder.newestCheckpoint().ifPresent(checkpoint -> prepareCheckpoints(folder, checkpoint, model));
                return train(model, data, evalData, request);
            }
        }
    }

    private static @Nullable Dataset readEvalData(ModelText text, TrainRequest request) {
        return request.evalData() == null
                ? null
                : text.read(
                        request.evalData(), request.seqLen(), request.config().vocabSize());
    }

    private void warnOfLongRows(TrainRequest request, Dataset data) {
        int longest = data.statistics().longestRow();
        int positions = request.config().maxPositions();
        if (longest > positions) {
            console()
                    .warn(dataFile + ": rows have up to " + longest + " tokens, the model was made for " + positions
                            + "; cut them with --seq-len " + positions);
        }
    }

    private void checkMemory(TrainRequest request, Engine engine, Precision precision, BatchLengths lengths) {
        try (Checkpoint checkpoint = Checkpoint.open(request.model())) {
            MemoryCheck memory = MemoryCheck.of(request, engine, precision, checkpoint, lengths);
            PlanReport report = new PlanReport(request, memory);
            console().note(report.trainableLine());
            report.memoryLines().forEach(console()::note);
            memory.requireFits();
            memory.plan().reserve(engine);
        }
    }

    private LoraModel attach(PretrainedModel base, TrainRequest request) {
        PeftAdapter start = request.start();
        if (start == null) {
            return base.attach(request.lora(), request.train().seed());
        }
        OpenModel.requireBase(start, base, force);
        return base.attach(start, request.lora(), true);
    }

    /** Either this run goes on from what is there, or it replaces it. */
    private void prepareCheckpoints(OutputFolder folder, Path newest, LoraModel model) {
        if (resume) {
            new SavedRun(newest).requireSame(model, force);
        } else {
            int deleted = folder.deleteCheckpoints();
            console().info("deleted " + Units.counted(deleted, "checkpoint") + " of an earlier run in " + out);
        }
    }

    private int train(LoraModel model, Dataset data, @Nullable Dataset evalData, TrainRequest request) {
        long frozenBefore = verifyFrozen ? model.residentFingerprint() : 0;
        TrainProgress progress = new TrainProgress(console());
        try (Trainer trainer =
                new Trainer(model, data.examples(), evalData == null ? null : evalData.examples(), request.train())) {
            trainer.output(out, resume);
            if (resume) {
                console()
                        .info(
                                trainer.stepsDone() > 0
                                        ? "resuming after step " + trainer.stepsDone() + " of " + trainer.totalSteps()
                                        : "no checkpoint in " + out + ": starting anew");
            }
            Trainer.Result result = runToEnd(trainer, progress);
            if (!result.completed()) {
                console()
                        .info("stopped after step " + result.steps() + " of " + trainer.totalSteps()
                                + "; go on with the same command and --resume");
                return Interrupts.EXIT_CODE;
            }
            model.save(out);
            boolean frozenIntact = !verifyFrozen || verifyFrozen(model, frozenBefore);
            report(model, progress, result, frozenIntact);
            return frozenIntact ? EXIT_OK : Failures.OUR_FAULT;
        }
    }

    private Trainer.Result runToEnd(Trainer trainer, TrainProgress progress) {
        Runnable stop = () -> {
            console().info("stopping after this step, with a checkpoint; again to stop at once");
            trainer.requestStop();
        };
        Interrupts interrupts = Interrupts.handle(stop);
        try {
            return trainer.train(progress);
        } finally {
            interrupts.close();
            console().endLive();
        }
    }

    private boolean verifyFrozen(LoraModel model, long before) {
        long after = model.residentFingerprint();
        String verdict = before == after ? "not one bit changed" : "THEY CHANGED, which is a bug in Graft";
        console()
                .info("frozen weights: fingerprint " + HexFormat.of().toHexDigits(before) + " before, "
                        + HexFormat.of().toHexDigits(after) + " after; " + verdict);
        return before == after;
    }

    private void report(LoraModel model, TrainProgress progress, Trainer.Result result, boolean frozenIntact) {
        long trainable = model.adapter().parameterCount();
        long all = PlanReport.parameters(model.base().config()) + trainable;
        long bytes = size(out.resolve(PeftAdapter.WEIGHTS_FILE));
        StepMetrics first = progress.first();
        StepMetrics last = progress.last();
        EvalMetrics evaluation = progress.lastEvaluation();
        if (output.isJson()) {
            ObjectNode json = Json.mapper().createObjectNode();
            json.put("steps", result.steps());
            json.put("first_loss", first == null ? null : (Double) first.loss());
            json.put("last_loss", last == null ? null : (Double) last.loss());
            json.put("eval_loss", evaluation == null ? null : (Double) evaluation.loss());
            json.put("tokens_per_second", progress.tokensPerSecond());
            json.put("trainable_parameters", trainable);
            json.put("trainable_share", (double) trainable / all);
            json.put("adapter_bytes", bytes);
            json.put("out", out.toString());
            if (verifyFrozen) {
                json.put("frozen_unchanged", frozenIntact);
            }
            console().result(json);
            return;
        }
        Table table = Table.ofTexts().row("steps", Units.count(result.steps()));
        if (first != null) {
            table.row(
                    "loss",
                    Units.fixed(first.loss(), 4) + " -> "
                            + Units.fixed(Objects.requireNonNull(last).loss(), 4));
            table.row("tokens/s", Units.count(Math.round(progress.tokensPerSecond())));
        }
        if (evaluation != null) {
            table.row(
                    "evaluation",
                    "loss " + Units.fixed(evaluation.loss(), 4) + ", perplexity "
                            + Units.fixed(evaluation.perplexity(), 3));
        }
        if (verifyFrozen) {
            table.row("frozen weights", frozenIntact ? "unchanged, bit for bit" : "CHANGED");
        }
        table.row("trained", Units.count(trainable) + " parameters, " + Units.share(trainable, all) + " of all")
                .row("adapter", out + " (" + Units.bytes(bytes) + ")");
        table.lines().forEach(console()::result);
    }

    private static long size(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }
}
