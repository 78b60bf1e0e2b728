package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.ModelOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.run.OpenModel;
import dev.graft.common.InputException;
import dev.graft.data.Dataset;
import dev.graft.engine.Engine;
import dev.graft.io.Json;
import dev.graft.model.ConfigReader;
import dev.graft.train.EvalMetrics;
import dev.graft.train.Evaluator;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft eval}: the loss of a model over a data file. */
@Command(
        name = "eval",
        customSynopsis = "graft eval --model DIR [--adapter DIR] --data FILE [OPTION]...",
        description =
                "Computes the loss (mean over unmasked tokens) and perplexity of a model, with or without an adapter.",
        footer = {
            "  graft eval --model DIR --data held-out.jsonl",
            "  graft eval --model DIR --adapter adapter --data held-out.jsonl --json"
        })
final class EvalCommand extends BaseCommand {
    @Mixin
    private final ModelOptions options = new ModelOptions();

    @Option(names = "--data", paramLabel = "FILE", required = true, description = "Rows to evaluate on, JSON lines.")
    private Path dataFile = Path.of("");

    @Option(names = "--batch-size", paramLabel = "N", description = "Rows at a time (default: 4).")
    private int batchSize = 4;

    @Option(names = "--seq-len", paramLabel = "N", description = "Longer rows are cut to N tokens (default: 1024).")
    private int seqLen = 1024;

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    EvalCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        if (batchSize < 1) {
            throw new InputException("--batch-size " + batchSize + ": must be at least 1");
        }
        Dataset data;
        try (ModelText text = new ModelText(options.model())) {
            data = text.read(
                    dataFile, seqLen, ConfigReader.read(options.model()).vocabSize());
        }
        try (Engine engine = engineOptions.open();
                OpenModel opened = OpenModel.open(
                        options.model(), options.adapter(), engine, options.precision(), options.isForced())) {
            report(Evaluator.evaluate(opened.model(), data.examples(), batchSize));
            return EXIT_OK;
        }
    }

    private void report(EvalMetrics metrics) {
        if (output.isJson()) {
            console()
                    .result(Json.mapper()
                            .createObjectNode()
                            .put("loss", metrics.loss())
                            .put("perplexity", metrics.perplexity())
                            .put("tokens", metrics.tokens()));
            return;
        }
        Table.ofTexts()
                .row("loss", Units.fixed(metrics.loss(), 6))
                .row("perplexity", Units.fixed(metrics.perplexity(), 4))
                .row("tokens", Units.count(metrics.tokens()))
                .lines()
                .forEach(console()::result);
    }
}
