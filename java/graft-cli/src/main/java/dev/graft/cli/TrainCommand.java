package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.TrainOptions;
import dev.graft.cli.options.TrainRequest;
import dev.graft.cli.run.BatchLengths;
import dev.graft.cli.run.Interrupts;
import dev.graft.cli.run.MemoryCheck;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.run.OpenTrainable;
import dev.graft.cli.run.OutputFolder;
import dev.graft.cli.run.PlanReport;
import dev.graft.cli.run.SavedRun;
import dev.graft.cli.run.TrainProgress;
import dev.graft.cli.run.TrainReport;
import dev.graft.common.InputException;
import dev.graft.data.Dataset;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Trainable;
import dev.graft.train.Method;
import dev.graft.train.Trainer;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft train}: flags, data, engine, memory, model, steps, adapter. */
@Command(
        name = "train",
        customSynopsis = "graft train --model DIR --data FILE --out DIR [OPTION]...",
        description = "Trains a LoRA adapter or bottleneck modules on a frozen base model, or all of the model.",
        footer = {
            "  graft train --model DIR --data rows.jsonl --out adapter",
            "  graft train --model DIR --data rows.jsonl --out adapter --rank 8 \\",
            "      --targets q_proj,v_proj --epochs 3 --save-every 100 \\",
            "      --eval-data held-out.jsonl --eval-every 50",
            "  graft train --model DIR --data rows.jsonl --out modules --method adapter \\",
            "      --bottleneck 32",
            "  graft train --model DIR --data rows.jsonl --out tuned --method full",
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

    @Option(
            names = "--out",
            paramLabel = "DIR",
            required = true,
            description = "Where the adapter, or the trained model, goes.")
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
        if (verifyFrozen && request.method() instanceof Method.Full) {
            throw new InputException("--verify-frozen: --method full leaves nothing frozen; leave it out");
        }
        OutputFolder folder = OutputFolder.of(out, request);
        folder.requireFree(resume, force);
        Dataset data;
        Dataset evalData;
        try (ModelText text = new ModelText(request.model())) {
            data = text.read(dataFile, request.seqLen(), request.config().vocabSize());
            evalData = readEvalData(text, request);
        }
        warnOfLongRows(request, data);
        try (Engine engine = engineOptions.open(request.method())) {
            Precision precision = PretrainedModel.supported(engine, request.precision());
            checkMemory(request, engine, precision, BatchLengths.of(data, evalData));
            folder.requireWritable();
            try (OpenTrainable open = OpenTrainable.open(request, engine, precision, force)) {
                folder.newestCheckpoint().ifPresent(checkpoint -> prepareCheckpoints(folder, checkpoint, open));
                return train(open, data, evalData, request, folder);
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

    /** Either this run goes on from what is there, or it replaces it. */
    private void prepareCheckpoints(OutputFolder folder, Path newest, OpenTrainable open) {
        if (!resume) {
            folder.deleteCheckpoints(console());
        } else if (open.model() instanceof LoraModel model) {
            new SavedRun(newest).requireSame(model, force);
        }
    }

    private int train(
            OpenTrainable open, Dataset data, @Nullable Dataset evalData, TrainRequest request, OutputFolder folder) {
        PretrainedModel base = verifyFrozen ? open.base() : null;
        long frozenBefore = base == null ? 0 : open.frozenFingerprint();
        TrainProgress progress = new TrainProgress(console());
        Trainable model = open.model();
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
            folder.deleteOtherWeights(Set.of(open.weightsFile()));
            Boolean frozenIntact = base == null ? null : verifyFrozen(open, frozenBefore);
            TrainReport report = new TrainReport(request, progress, result, frozenIntact, out, open.weightsFile());
            if (output.isJson()) {
                console().result(report.json());
            } else {
                report.lines().forEach(console()::result);
            }
            return Boolean.FALSE.equals(frozenIntact) ? Failures.OUR_FAULT : EXIT_OK;
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

    private boolean verifyFrozen(OpenTrainable open, long before) {
        long after = open.frozenFingerprint();
        String verdict = before == after ? "not one bit changed" : "THEY CHANGED, which is a bug in Graft";
        console()
                .info("frozen weights: fingerprint " + HexFormat.of().toHexDigits(before) + " before, "
                        + HexFormat.of().toHexDigits(after) + " after; " + verdict);
        return before == after;
    }
}
