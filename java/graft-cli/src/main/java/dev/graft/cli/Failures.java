package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.common.InputException;
import dev.graft.engine.EngineFailure;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns whatever went wrong into one line and an exit code. */
record Failures(Console console)
        implements CommandLine.IParameterExceptionHandler, CommandLine.IExecutionExceptionHandler {
    static final int OUR_FAULT = 1;
    static final int INPUT_AT_FAULT = 2;

    /** Flags that make no sense. */
    @Override
    public int handleParseException(ParameterException failure, String[] args) {
        CommandLine command = failure.getCommandLine();
        String hint = "see " + command.getCommandSpec().qualifiedName() + " --help";
        if (failure instanceof UnmatchedArgumentException unmatched) {
            List<String> suggestions = unmatched.getSuggestions();
            if (!suggestions.isEmpty()) {
                hint = "did you mean " + String.join(" or ", suggestions) + "? " + hint;
            }
        }
        say(oneLine(failure.getMessage()) + "; " + hint);
        return INPUT_AT_FAULT;
    }

    /** What a command threw. */
    @Override
    public int handleExecutionException(Exception failure, CommandLine command, ParseResult parsed) {
        console.endLive();
        int exitCode = report(failure);
        if (console.isVerbose()) {
            console.trace(failure);
        }
        return exitCode;
    }

    private int report(Throwable failure) {
        return switch (failure) {
            case InputException input -> {
                say(oneLine(String.valueOf(input.getMessage())));
                yield INPUT_AT_FAULT;
            }
            case UncheckedIOException io -> {
                say(oneLine(io.getMessage() + " (" + reason(io.getCause()) + ")") + "; check the path and the disk");
                yield INPUT_AT_FAULT;
            }
            case EngineFailure engine -> {
                say(oneLine(String.valueOf(engine.getMessage())));
                yield OUR_FAULT;
            }
            case OutOfHeap memory -> {
                say("out of memory on the Java heap; give it more with GRAFT_JAVA_OPTS=-Xmx8g, or use less data, "
                        + "a smaller --batch-size or a shorter --seq-len");
                yield OUR_FAULT;
            }
            default -> {
                say("internal error: " + oneLine(failure.toString()) + "; run it again with --verbose and report this");
                yield OUR_FAULT;
            }
        };
    }

    private static String reason(IOException cause) {
        return cause instanceof AccessDeniedException ? "permission denied" : String.valueOf(cause.getMessage());
    }

    private void say(String line) {
        console.info(line);
    }

    private static String oneLine(String text) {
        return text.strip().replaceAll("\\s*\\R\\s*", " ");
    }

    /** Carries an {@link OutOfMemoryError}, which picocli would let through, to the handler. */
    static final class OutOfHeap extends RuntimeException {
        private static final long serialVersionUID = 1;

        OutOfHeap(OutOfMemoryError cause) {
            super(cause);
        }
    }
}
