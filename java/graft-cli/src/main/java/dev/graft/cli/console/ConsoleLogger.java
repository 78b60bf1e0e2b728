package dev.graft.cli.console;

import org.jspecify.annotations.Nullable;
import org.slf4j.Marker;
import org.slf4j.event.Level;
import org.slf4j.helpers.LegacyAbstractLogger;
import org.slf4j.helpers.MessageFormatter;

/** Writes to whatever {@link Console} is attached. */
final class ConsoleLogger extends LegacyAbstractLogger {
    private static final long serialVersionUID = 1;
    private static final String OWN_PACKAGES = "dev.graft.";

    private final boolean isOwn;

    ConsoleLogger(String name) {
        this.name = name;
        this.isOwn = name.startsWith(OWN_PACKAGES);
    }

    @Override
    protected void handleNormalizedLoggingCall(
            Level level,
            @Nullable Marker marker,
            String message,
            Object @Nullable [] arguments,
            @Nullable Throwable failure) {
        Console console = ConsoleLogging.console();
        String text = MessageFormatter.basicArrayFormat(message, arguments);
        if (level.toInt() >= Level.WARN.toInt()) {
            console.warn(text);
        } else {
            console.info(text);
        }
        if (failure != null && console.isVerbose()) {
            console.trace(failure);
        }
    }

    @Override
    protected @Nullable String getFullyQualifiedCallerName() {
        return null;
    }

    @Override
    public boolean isTraceEnabled() {
        return false;
    }

    @Override
    public boolean isDebugEnabled() {
        return isOwn && ConsoleLogging.console().isVerbose();
    }

    @Override
    public boolean isInfoEnabled() {
        return isOwn;
    }

    @Override
    public boolean isWarnEnabled() {
        return true;
    }

    @Override
    public boolean isErrorEnabled() {
        return true;
    }
}
