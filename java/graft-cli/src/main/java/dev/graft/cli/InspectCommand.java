package dev.graft.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.cli.console.Console;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.run.AdapterFacts;
import dev.graft.cli.run.BottleneckFacts;
import dev.graft.cli.run.ModelFacts;
import dev.graft.common.InputException;
import dev.graft.lora.PeftAdapter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code graft inspect}: what a folder holds. */
@Command(
        name = "inspect",
        customSynopsis = "graft inspect DIR [OPTION]...",
        description = "Shows what a model folder or an adapter folder holds.",
        footer = {
            "  graft inspect DIR",
            "  graft inspect adapter --model DIR    # also the share of the model's parameters"
        })
final class InspectCommand extends BaseCommand {
    @Parameters(paramLabel = "DIR", description = "A model folder or an adapter folder.")
    private Path folder = Path.of("");

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "An adapter's base (default: where its configuration says, if it is there).")
    private @Nullable Path model;

    @Option(names = "--fingerprint", description = "Also the fingerprint of a model's weights, which reads them all.")
    private boolean fingerprint;

    @Mixin
    private final OutputOptions output = new OutputOptions();

    InspectCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        if (!Files.isDirectory(folder)) {
            throw new InputException(folder + ": no such folder; give a model folder or an adapter folder");
        }
        if (isAdapter() && BottleneckFile.isAt(folder)) {
            BottleneckFacts facts = BottleneckFacts.read(folder, model);
            show(facts::json, facts::lines);
        } else if (isAdapter()) {
            AdapterFacts facts = AdapterFacts.read(folder, model);
            show(facts::json, facts::lines);
        } else {
            ModelFacts facts = ModelFacts.read(folder, fingerprint);
            show(facts::json, facts::lines);
        }
        return EXIT_OK;
    }

    private void show(Supplier<ObjectNode> json, Supplier<List<String>> lines) {
        if (output.isJson()) {
            console().result(json.get());
        } else {
            lines.get().forEach(console()::result);
        }
    }

    private boolean isAdapter() {
        return Files.exists(folder.resolve(PeftAdapter.CONFIG_FILE)) && !Files.exists(folder.resolve("config.json"));
    }
}
