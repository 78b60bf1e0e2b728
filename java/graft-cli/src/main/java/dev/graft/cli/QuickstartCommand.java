package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.quickstart.Quickstart;
import dev.graft.cli.quickstart.QuickstartResult;
import dev.graft.engine.Engine;
import dev.graft.io.AtomicFiles;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft quickstart}: the whole story on the embedded base model. */
@Command(
        name = "quickstart",
        description = "Shows a small base model failing a task, trains an adapter on 64 examples, shows it succeed, merges it, "
                + "and proves that the base did not change. Needs no files and no network.",
        footer = {"  graft quickstart", "  graft quickstart --out demo --json"})
final class QuickstartCommand extends BaseCommand {
    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Where model, data, adapter, merged model and plot go (default: graft-quickstart).")
    private Path out = Path.of("graft-quickstart");

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    QuickstartCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        AtomicFiles.createDirectories(out);
        try (Engine engine = engineOptions.open()) {
            QuickstartResult result = new Quickstart(console(), engine, out).run();
            if (output.isJson()) {
                console().result(result.json());
            } else {
                result.lines().forEach(console()::result);
            }
            return result.isBaseIntact() ? EXIT_OK : Failures.OUR_FAULT;
        }
    }
}
