package dev.graft.cli.world;

import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import java.util.List;

/**
 * Text of the embedded base's own kind, by whose perplexity one tells whether a model still knows what the base knew: the first
 * documents of a {@link Corpus}, which are lists that repeat themselves.
 */
public final class BaseText {
    /** Not the seed of what the base was trained on. */
    private static final long SEED = 99;

    private static final int ROWS = 48;
    private static final int MOST_TOKENS = 256;

    private BaseText() {}

    /** The same rows each time; every token counts. */
    public static List<Example> rows(Tokenizer tokenizer) {
        return Corpus.stream(SEED)
                .map(text -> tokenizer.encode(text, true))
                .filter(ids -> ids.length > 1 && ids.length <= MOST_TOKENS)
                .limit(ROWS)
                .map(ids -> new Example(ids, ids))
                .toList();
    }
}
