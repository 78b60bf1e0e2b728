package dev.graft.cli.run;

import dev.graft.data.StreamDecoder;
import org.jspecify.annotations.Nullable;

/** What generated tokens look like: text, or ids where there is no tokenizer. */
public final class TokenPrinter {
    private final @Nullable StreamDecoder decoder;
    private boolean started;

    private TokenPrinter(@Nullable StreamDecoder decoder) {
        this.decoder = decoder;
    }

    /** Shows text, as it becomes complete. */
    public static TokenPrinter texts(StreamDecoder decoder) {
        return new TokenPrinter(decoder);
    }

    /** Shows ids with spaces between. */
    public static TokenPrinter ids() {
        return new TokenPrinter(null);
    }

    /** What to show for the next token. */
    public String next(int token) {
        if (decoder != null) {
            return decoder.next(token);
        }
        String separator = started ? " " : "";
        started = true;
        return separator + token;
    }

    /** What is left to show after the last one. */
    public String finish() {
        return decoder == null ? "" : decoder.finish();
    }
}
