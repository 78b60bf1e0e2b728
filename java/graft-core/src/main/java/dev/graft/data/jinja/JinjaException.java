package dev.graft.data.jinja;

import org.jspecify.annotations.Nullable;

/** A template cannot be parsed or rendered; the message is one line and names the template's line. */
public final class JinjaException extends RuntimeException {
    private final boolean raisedByTemplate;
    private final boolean located;

    JinjaException(String message) {
        this(message, false, false, null);
    }

    private JinjaException(String message, boolean raisedByTemplate, boolean located, @Nullable Throwable cause) {
        super(message, cause);
        this.raisedByTemplate = raisedByTemplate;
        this.located = located;
    }

    /** What a template means by {@code raise_exception(message)}. */
    static JinjaException raised(String message) {
        return new JinjaException(message, true, true, null);
    }

    static JinjaException at(int line, String message) {
        return new JinjaException("line " + line + ": " + message, false, true, null);
    }

    /** This exception with the line of the template, where it does not have one yet. */
    JinjaException locatedAt(int line) {
        return located ? this : new JinjaException("line " + line + ": " + getMessage(), raisedByTemplate, true, this);
    }

    /** Whether the template itself refused its input with {@code raise_exception}. */
    public boolean raisedByTemplate() {
        return raisedByTemplate;
    }
}
