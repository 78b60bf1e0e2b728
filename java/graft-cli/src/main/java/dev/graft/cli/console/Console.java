package dev.graft.cli.console;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.io.PrintWriter;

/**
 * The two streams of a command: results on standard output, everything else (progress, logs, errors) on standard error. The last
 * line of a terminal can be live, rewritten in place; other lines then appear above it. Safe for use by several threads.
 */
public final class Console {
    private static final String CLEAR_LINE = "\r\u001b[K";
    private static final String PREFIX = "graft: ";

    private final PrintStream out;
    private final PrintStream err;
    private final int columns;
    private boolean verbose;
    private String live = "";

    private Console(PrintStream out, PrintStream err, int columns) {
        this.out = out;
        this.err = err;
        this.columns = columns;
    }

    /** Whose standard error is a terminal of this width. */
    public static Console terminal(PrintStream out, PrintStream err, int columns) {
        return new Console(out, err, columns);
    }

    /** Whose standard error is a file or a pipe. */
    public static Console plain(PrintStream out, PrintStream err) {
        return new Console(out, err, 0);
    }

    /** Whether standard error is a terminal, on which {@link #live} shows. */
    public boolean isTerminal() {
        return columns > 0;
    }

    /** Characters that fit on a line of the terminal. */
    public int columns() {
        return columns;
    }

    /** Whether to show stack traces and debug messages. */
    public synchronized boolean isVerbose() {
        return verbose;
    }

    public synchronized void setVerbose(boolean value) {
        verbose = value;
    }

    /** A line of the result. */
    public synchronized void result(String line) {
        out.println(line);
        out.flush();
    }

    /** A part of a line of the result, shown at once. */
    public synchronized void resultPart(String text) {
        out.print(text);
        out.flush();
    }

    /** The whole result as one JSON object. */
    public void result(ObjectNode json) {
        result(json.toString());
    }

    /** What the user may want to know: {@code graft: …}. */
    public void info(String line) {
        note(PREFIX + line);
    }

    /** What the user should know: {@code graft: warning: …}. */
    public void warn(String line) {
        note(PREFIX + "warning: " + line);
    }

    /** A line on standard error as it is. */
    public synchronized void note(String line) {
        if (live.isEmpty()) {
            err.println(line);
        } else {
            err.print(CLEAR_LINE + line + System.lineSeparator() + live);
        }
        err.flush();
    }

    /** Standard output, for usage texts. */
    public PrintWriter resultWriter() {
        return new PrintWriter(out, true);
    }

    /** Standard error, likewise. */
    public PrintWriter noteWriter() {
        return new PrintWriter(err, true);
    }

    /** Stack trace of a failure, for {@code --verbose}. */
    public synchronized void trace(Throwable failure) {
        failure.printStackTrace(err);
        err.flush();
    }

    /** Replaces the live line; nothing where there is no terminal. */
    public synchronized void live(String line) {
        if (isTerminal()) {
            live = line.length() < columns ? line : line.substring(0, columns - 1);
            err.print(CLEAR_LINE + live);
            err.flush();
        }
    }

    /** Removes the live line. */
    public synchronized void endLive() {
        if (!live.isEmpty()) {
            live = "";
            err.print(CLEAR_LINE);
            err.flush();
        }
    }
}
