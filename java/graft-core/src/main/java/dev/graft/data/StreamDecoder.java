package dev.graft.data;

import java.util.Arrays;

/**
 * Text of tokens as they come. A token may hold part of a character, and how it reads may depend on the one before it (a leading
 * space), so each is decoded together with those of the last piece that was given out: the new text is what the longer decoding
 * has beyond the shorter one, and it is held back while it ends in the middle of a character.
 */
public final class StreamDecoder {
    /** So many ids of the context as could matter to how the next token reads. */
    private static final int CONTEXT = 8;

    private static final String INCOMPLETE = "\uFFFD";

    private final Tokenizer tokenizer;
    /** The tokens of the last piece given out, then those held back. */
    private int[] window;
    /** How many tokens of the window have been given out, and their text. */
    private int given;

    private String givenText;

    StreamDecoder(Tokenizer tokenizer, int[] context) {
        this.tokenizer = tokenizer;
        window = Arrays.copyOfRange(context, Math.max(0, context.length - CONTEXT), context.length);
        given = window.length;
        givenText = tokenizer.decode(window, true);
    }

    /** Takes the next token and returns the text that is complete with it, which may be empty. */
    public String next(int id) {
        window = Arrays.copyOf(window, window.length + 1);
        window[window.length - 1] = id;
        String text = tokenizer.decode(window, true);
        return text.endsWith(INCOMPLETE) ? "" : give(text);
    }

    /** What is still held back, with U+FFFD for a character that never became whole; to be called after the last token. */
    public String finish() {
        return give(tokenizer.decode(window, true));
    }

    private String give(String text) {
        String piece = text.length() > givenText.length() ? text.substring(givenText.length()) : "";
        if (!piece.isEmpty()) {
            window = Arrays.copyOfRange(window, given, window.length);
            given = window.length;
            givenText = tokenizer.decode(window, true);
        }
        return piece;
    }
}
