package dev.graft.cli;

import dev.graft.bottleneck.BottleneckFile;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.run.OpenModel;
import dev.graft.cli.run.OutputFolder;
import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.io.Json;
import dev.graft.model.LoraModel;
import dev.graft.model.ModelMerger;
import dev.graft.tensor.DType;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft merge}: base and adapter to one checkpoint. */
@Command(
        name = "merge",
        customSynopsis = "graft merge --model DIR --adapter DIR --out DIR [OPTION]...",
        description = {
            "Writes a full checkpoint with what the adapter learned: W = W0 + sBA, with DoRA every row brought to its length m,",
            "and the weights that were trained whole. Dtypes, shards and tokenizer files are the base's."
        },
        footer = "  graft merge --model DIR --adapter adapter --out merged")
final class MergeCommand extends BaseCommand {
    @Option(names = "--model", paramLabel = "DIR", required = true, description = "The base model; it is only read.")
    private Path model = Path.of("");

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            required = true,
            description = "The LoRA or DoRA adapter to merge.")
    private Path adapter = Path.of("");

    @Option(names = "--out", paramLabel = "DIR", required = true, description = "Where the merged model goes.")
    private Path out = Path.of("");

    @Option(
            names = "--force",
            description = "Overwrite a checkpoint in --out; merge an adapter that was trained on another base.")
    private boolean force;

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    MergeCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        if (BottleneckFile.isAt(adapter)) {
            throw new InputException(
                    adapter + ": bottleneck modules cannot be merged: the GELU inside them has no place in "
                            + "a weight of the base; use them with --adapter");
        }
        OutputFolder target = OutputFolder.of(out, model, OutputFolder.Kind.MODEL);
        target.requireFree(force);
        try (Engine engine = engineOptions.open();
                OpenModel opened = OpenModel.open(model, adapter, engine, storedPrecision(engine), force)) {
            ModelMerger.Result result = ModelMerger.merge((LoraModel) opened.model(), out);
            target.deleteOtherWeights(opened.base().checkpoint());
            report(result);
            return EXIT_OK;
        }
    }

    /** The precision in which the engine can use the file as it is: merging reads the file, not the engine's copy. */
    private Precision storedPrecision(Engine engine) {
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            boolean isBf16 =
                    checkpoint.names().stream().map(checkpoint::info).anyMatch(info -> info.dtype() == DType.BF16);
            return isBf16 && engine.supports(Precision.BF16) ? Precision.BF16 : Precision.F32;
        }
    }

    private void report(ModelMerger.Result result) {
        if (output.isJson()) {
            console()
                    .result(Json.mapper()
                            .createObjectNode()
                            .put("merged_tensors", result.mergedTensors())
                            .put("bytes", result.bytes())
                            .put("largest_rounding", result.largestRounding())
                            .put("out", out.toString()));
            return;
        }
        Table.ofTexts()
                .row("merged tensors", Units.count(result.mergedTensors()))
                .row("weights", Units.bytes(result.bytes()))
                .row("largest rounding", Units.plain(result.largestRounding()))
                .row("model", out.toString())
                .lines()
                .forEach(console()::result);
    }
}
