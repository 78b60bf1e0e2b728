package dev.graft.cli;

import dev.graft.cli.console.Console;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code graft} itself: the list of commands. */
@Command(
        name = "graft",
        description = "LoRA fine-tuning of foundation models: Hugging Face checkpoint in, PEFT adapter out.",
        versionProvider = Version.class,
        sortOptions = false,
        usageHelpAutoWidth = true,
        synopsisSubcommandLabel = "COMMAND",
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        commandListHeading = "%nCommands:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  graft quickstart",
            "  graft train --model DIR --data rows.jsonl --out adapter",
            "  graft generate --model DIR --adapter adapter --prompt \"Once upon a time\"",
            "  graft COMMAND --help"
        })
final class GraftCommand implements Callable<Integer> {
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help.")
    private boolean help;

    @Option(
            names = {"-V", "--version"},
            versionHelp = true,
            description = "Show the version.")
    private boolean version;

    @Spec
    private @Nullable CommandSpec spec;

    private GraftCommand() {}

    /** Without a command: shows what there is. */
    @Override
    public Integer call() {
        CommandLine self = Objects.requireNonNull(spec).commandLine();
        self.usage(self.getErr());
        return Failures.INPUT_AT_FAULT;
    }

    /** The whole command line, writing to {@code console}. */
    static CommandLine commandLine(Console console) {
        CommandLine root = new CommandLine(new GraftCommand());
        root.addSubcommand(new QuickstartCommand(console))
                .addSubcommand(new TrainCommand(console))
                .addSubcommand(new SweepCommand(console))
                .addSubcommand(new CompareCommand(console))
                .addSubcommand(new MetaTrainCommand(console))
                .addSubcommand(new EvalCommand(console))
                .addSubcommand(new GenerateCommand(console))
                .addSubcommand(new MergeCommand(console))
                .addSubcommand(new InspectCommand(console))
                .addSubcommand(new PlanCommand(console))
                .addSubcommand(new TasksCommand(console))
                .addSubcommand(new DevicesCommand(console))
                .addSubcommand(new FetchCublasCommand(console))
                .addSubcommand(new CommandLine(new BenchCommand()).addSubcommand(new BenchTrainCommand(console)));
        Failures failures = new Failures(console);
        root.setParameterExceptionHandler(failures);
        root.setExecutionExceptionHandler(failures);
        root.setOut(console.resultWriter());
        root.setErr(console.noteWriter());
        return root;
    }
}
