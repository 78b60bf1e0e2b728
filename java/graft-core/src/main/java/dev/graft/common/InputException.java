package dev.graft.common;

/**
 * The input, a file or a flag is at fault, not Graft. The message is one line that says what is wrong, where, and what to do
 * about it; the command line prints it without a stack trace and exits with code 2.
 */
public class InputException extends RuntimeException {
    public InputException(String message) {
        super(message);
    }

    public InputException(String message, Throwable cause) {
        super(message, cause);
    }
}
