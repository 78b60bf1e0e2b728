package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.ConsoleLogging;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** The {@code graft} command. */
public final class Main {
    /** Set by the launcher where standard error is a terminal: its width. */
    private static final String COLUMNS_PROPERTY = "graft.columns";

    private Main() {}

    public static void main(String[] args) {
        // UTF-8 whatever the locale says, as in the files read and written
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
        int columns = Integer.getInteger(COLUMNS_PROPERTY, 0);
        int exitCode = run(args, columns > 0 ? Console.terminal(out, err, columns) : Console.plain(out, err));
        System.exit(exitCode);
    }

    /**
     * Runs a command.
     *
     * @return the exit code: 0 done, 1 Graft's fault, 2 the input's or the flags', 130 interrupted after a checkpoint
     */
    public static int run(String[] args, PrintStream out, PrintStream err) {
        return run(args, Console.plain(out, err));
    }

    private static int run(String[] args, Console console) {
        ConsoleLogging.attach(console);
        return GraftCommand.commandLine(console).execute(args);
    }
}
