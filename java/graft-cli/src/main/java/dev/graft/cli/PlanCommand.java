package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.TrainOptions;
import dev.graft.cli.options.TrainRequest;
import dev.graft.cli.run.BatchLengths;
import dev.graft.cli.run.MemoryCheck;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.run.PlanReport;
import dev.graft.engine.Engine;
import dev.graft.io.Checkpoint;
import dev.graft.model.PretrainedModel;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft plan}: what {@code train} would do with the same flags. */
@Command(
        name = "plan",
        customSynopsis = "graft plan --model DIR [--data FILE] [OPTION]...",
        description = "Shows which layers train would adapt and the memory it would take, without training.",
        footer = {
            "  graft plan --model DIR --rank 8 --targets q_proj,v_proj --seq-len 2048",
            "  graft plan --model DIR --data rows.jsonl    # sized for these rows"
        })
final class PlanCommand extends BaseCommand {
    @Mixin
    private final TrainOptions options = new TrainOptions();

    @Option(
            names = "--data",
            paramLabel = "FILE",
            description = "Plan for these rows (default: rows of --seq-len tokens).")
    private @Nullable Path dataFile;

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    /** Flags of {@code train} that change nothing here, so that its command line can be used as it is. */
    @Option(names = "--out", paramLabel = "DIR", hidden = true)
    private @Nullable Path out;

    @Option(names = "--resume", hidden = true)
    private boolean resume;

    @Option(names = "--verify-frozen", hidden = true)
    private boolean verifyFrozen;

    @Option(names = "--force", hidden = true)
    private boolean force;

    PlanCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        TrainRequest request = options.request();
        BatchLengths lengths = lengths(request);
        try (Engine engine = engineOptions.open(request.method());
                Checkpoint checkpoint = Checkpoint.open(request.model())) {
            MemoryCheck memory = MemoryCheck.of(
                    request, engine, PretrainedModel.supported(engine, request.precision()), checkpoint, lengths);
            PlanReport report = new PlanReport(request, memory);
            if (output.isJson()) {
                console().result(report.json());
            } else {
                report.lines().forEach(console()::result);
            }
            return EXIT_OK;
        }
    }

    private BatchLengths lengths(TrainRequest request) {
        if (dataFile == null) {
            return BatchLengths.full();
        }
        int vocabSize = request.config().vocabSize();
        try (ModelText text = new ModelText(request.model())) {
            return BatchLengths.of(
                    text.read(dataFile, request.seqLen(), vocabSize),
                    request.evalData() == null ? null : text.read(request.evalData(), request.seqLen(), vocabSize));
        }
    }
}
