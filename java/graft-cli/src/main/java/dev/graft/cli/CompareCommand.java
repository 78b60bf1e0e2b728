package dev.graft.cli;

import dev.graft.cli.compare.CompareFiles;
import dev.graft.cli.compare.CompareRequest;
import dev.graft.cli.compare.CompareResult;
import dev.graft.cli.compare.Comparing;
import dev.graft.cli.console.Console;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.PrecisionOption;
import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code graft compare}: LoRA beside full fine-tuning and its other alternatives, on one task. */
@Command(
        name = "compare",
        customSynopsis = {
            "graft compare [--task NAME] [--out DIR] [OPTION]...",
            "       graft compare --model DIR --data FILE --eval-data FILE [--out DIR] [OPTION]..."
        },
        description = {
            "Trains by several methods, ranks and numbers of examples, several times each, and measures what each takes and gives:",
            "numbers trained, bytes a task, step time, memory, quality, forgetting, time of a token with the adapter beside the",
            "weights and merged. On a generated task of the embedded model (graft tasks --list), or on your own rows."
        },
        footer = {
            "  graft compare --quick",
            "  graft compare --task extract --out comparison",
            "  graft compare --model DIR --data rows.jsonl --eval-data held-out.jsonl --methods lora,full --ranks 4,16"
        })
final class CompareCommand extends BaseCommand {
    @Option(
            names = "--task",
            paramLabel = "KIND[/SEED]",
            description = "A generated task: a kind, and which of its tasks (default: extract).")
    private @Nullable String task;

    @Option(names = "--model", paramLabel = "DIR", description = "Your base model, instead of the embedded one.")
    private @Nullable Path model;

    @Option(
            names = "--data",
            paramLabel = "FILE",
            description = "Your rows to learn from, of which each run takes some.")
    private @Nullable Path data;

    @Option(names = "--eval-data", paramLabel = "FILE", description = "Your held-out rows.")
    private @Nullable Path evalData;

    @Option(
            names = "--base-data",
            paramLabel = "FILE",
            description = "Rows of the kind that your base model knows, to measure forgetting by.")
    private @Nullable Path baseData;

    @Option(
            names = "--methods",
            paramLabel = "NAME,...",
            split = ",",
            description = "Of lora, dora, full, adapter, meta-lora (default: all; meta-lora only on generated tasks).")
    private @Nullable List<String> methods;

    @Option(names = "--ranks", paramLabel = "R,...", split = ",", description = "Ranks of LoRA (default: 2,4,8).")
    private @Nullable List<Integer> ranks;

    @Option(
            names = "--shots",
            paramLabel = "N,...",
            split = ",",
            description = "Numbers of examples to learn from (default: 8,32).")
    private @Nullable List<Integer> shots;

    @Option(names = "--seeds", paramLabel = "N", description = "Runs of each (default: 3).")
    private @Nullable Integer seeds;

    @Option(names = "--steps", paramLabel = "N", description = "Optimizer steps of a run (default: 60).")
    private @Nullable Integer steps;

    @Option(names = "--batch-size", paramLabel = "N", description = "Rows of a step (default: 8).")
    private int batchSize = 8;

    @Option(
            names = "--lrs",
            paramLabel = "NAME=X,...",
            split = ",",
            description = "Learning rates by method (default: lora, dora and meta-lora 2e-3, adapter 3e-3, full 3e-4).")
    private @Nullable LinkedHashMap<String, Double> learningRates;

    @Option(
            names = "--meta-steps",
            paramLabel = "N",
            description = "Steps in which the start of meta-lora is learned from other tasks (default: 80).")
    private @Nullable Integer metaSteps;

    @Option(names = "--quick", description = "One run of each method at one rank and 16 examples: two minutes.")
    private boolean quick;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Where report.html, compare.json, compare.csv and the plots go (default: compare).")
    private Path out = Path.of("compare");

    @Option(names = "--force", description = "Overwrite an earlier comparison in --out.")
    private boolean force;

    @Mixin
    private final PrecisionOption precision = new PrecisionOption();

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    @Spec
    private @Nullable CommandSpec spec;

    CompareCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        CompareRequest request = request();
        CompareFiles files = new CompareFiles(out);
        files.requireFree(force);
        files.prepare();
        try (Engine engine = engineOptions.open()) {
            CompareResult result = new Comparing(console(), engine, request, typed(), files.scratch()).run();
            files.write(result);
            if (output.isJson()) {
                console().result(result.json());
            } else {
                result.lines().forEach(console()::result);
                console().result("");
                console().result("report  " + files.report());
            }
            return EXIT_OK;
        }
    }

    private CompareRequest request() {
        if (model == null && (data != null || evalData != null || baseData != null)) {
            throw new InputException("--data, --eval-data and --base-data are rows for --model; give that too");
        }
        if (model != null && task != null) {
            throw new InputException("--task is for the embedded model; with --model give --data and --eval-data");
        }
        if (model != null && (data == null || evalData == null)) {
            throw new InputException("--model needs --data, rows to learn from, and --eval-data, rows to be judged by");
        }
        return new CompareRequest(
                model == null
                        ? CompareRequest.Source.generated(task == null ? "extract" : task)
                        : CompareRequest.Source.own(model, data, evalData, baseData),
                methods,
                ranks == null ? (quick ? List.of(4) : List.of(2, 4, 8)) : ranks,
                shots == null ? (quick ? List.of(16) : List.of(8, 32)) : shots,
                seeds == null ? (quick ? 1 : 3) : seeds,
                steps == null ? 60 : steps,
                batchSize,
                learningRates == null ? Map.of() : learningRates,
                metaSteps == null ? (quick ? 20 : 80) : metaSteps,
                quick,
                precision.value());
    }

    /** The command as typed. */
    private String typed() {
        StringBuilder typed = new StringBuilder("graft");
        for (String argument :
                Objects.requireNonNull(spec).commandLine().getParseResult().originalArgs()) {
            typed.append(' ').append(argument.matches("\\S+") ? argument : "'" + argument + "'");
        }
        return typed.toString();
    }
}
