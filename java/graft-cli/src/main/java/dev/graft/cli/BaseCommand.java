package dev.graft.cli;

import dev.graft.cli.console.Console;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What every command has: a console, {@code --verbose} and {@code --help}. */
@Command(
        sortOptions = false,
        usageHelpAutoWidth = true,
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n")
abstract class BaseCommand implements Callable<Integer> {
    static final int EXIT_OK = 0;

    @Option(names = "--verbose", order = 900, description = "Show stack traces and debug messages.")
    private boolean verbose;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            order = 901,
            description = "Show this help.")
    private boolean help;

    private final Console console;

    BaseCommand(Console console) {
        this.console = console;
    }

    final Console console() {
        return console;
    }

    @Override
    public final Integer call() {
        console.setVerbose(verbose);
        try {
            return run();
        } catch (OutOfMemoryError e) {
            throw new Failures.OutOfHeap(e);
        }
    }

    /** Does the work; returns the exit code. */
    abstract int run();
}
