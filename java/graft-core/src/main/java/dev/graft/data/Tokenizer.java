package dev.graft.data;

import ai.djl.huggingface.tokenizers.jni.CharSpan;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.graft.common.InputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedSet;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Text to token ids and back as a model's {@code tokenizer.json} has it, computed by the Rust tokenizers library. Nothing is ever
 * truncated or padded, whatever the file says. Safe for use by several threads; owns native memory until closed.
 */
public final class Tokenizer implements AutoCloseable {
    private static final long CLOSED = 0;

    private final TokenizersLibrary library;
    private final AtomicLong handle;
    private final int vocabSize;
    private final OptionalInt bosId;
    private final OptionalInt padId;
    private final int[] eosIds;

    private Tokenizer(
            TokenizersLibrary library, long handle, int vocabSize, OptionalInt bosId, OptionalInt padId, int[] eosIds) {
        this.library = library;
        this.handle = new AtomicLong(handle);
        this.vocabSize = vocabSize;
        this.bosId = bosId;
        this.padId = padId;
        this.eosIds = eosIds;
    }

    /**
     * Loads the tokenizer of a model folder: {@code tokenizer.json}; names of special tokens from
     * {@code tokenizer_config.json} and {@code special_tokens_map.json}; end tokens also from {@code generation_config.json}, and from {@code config.json} where
     * none of the others names one.
     *
     * @throws InputException where {@code tokenizer.json} is missing or one of the files is not valid
     */
    public static Tokenizer load(Path modelDir) {
        Path file = modelDir.resolve("tokenizer.json");
        if (!Files.isRegularFile(file)) {
            throw new InputException(modelDir + ": no tokenizer.json; copy it from the base model (AutoTokenizer's"
                    + " save_pretrained writes it), or use data with input_ids, which needs no tokenizer");
        }
        byte[] json;
        try {
            json = Files.readAllBytes(file);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
        Map<String, String> special = TokenizerFiles.specialTokens(modelDir);
        TokenizerFiles.Vocabulary vocabulary = TokenizerFiles.vocabulary(file, json, new HashSet<>(special.values()));
        SequencedSet<Integer> eosIds = new LinkedHashSet<>();
        vocabulary.id(special.get("eos_token")).ifPresent(eosIds::add);
        eosIds.addAll(TokenizerFiles.eosIds(modelDir.resolve("generation_config.json")));
        if (eosIds.isEmpty()) {
            eosIds.addAll(TokenizerFiles.eosIds(modelDir.resolve("config.json")));
        }
        TokenizersLibrary library = NativeTokenizers.library();
        return new Tokenizer(
                library,
                create(library, file, json),
                vocabulary.size(),
                vocabulary.id(special.get("bos_token")),
                vocabulary.id(special.get("pad_token")),
                eosIds.stream().mapToInt(Integer::intValue).toArray());
    }

    private static long create(TokenizersLibrary library, Path file, byte[] json) {
        try {
            long handle = library.createTokenizerFromString(new String(json, StandardCharsets.UTF_8));
            library.disableTruncation(handle);
            library.disablePadding(handle);
            return handle;
        } catch (RuntimeException e) {
            throw new InputException(
                    file + ": the tokenizers library does not take it (" + e.getMessage()
                            + "); copy the file from the base model again",
                    e);
        }
    }

    /**
     * The token ids of a text. Special tokens written in the text ({@code <|im_end|>}) become their ids.
     *
     * @param addSpecialTokens whether to add what the tokenizer's post-processor adds around a text, such as the begin token
     * @throws InputException where the text holds half of a surrogate pair, which is no character
     */
    public int[] encode(String text, boolean addSpecialTokens) {
        requireCharacters(text);
        long encoding = library.encode(handle(), text, addSpecialTokens);
        try {
            return toInts(library.getTokenIds(encoding));
        } finally {
            library.deleteEncoding(encoding);
        }
    }

    /**
     * Token ids with the place of each in the text, in UTF-16 units: token i comes from {@code starts[i]} to {@code ends[i]}. Tokens
     * that are bytes of one character all have that character's place.
     */
    record Located(int[] ids, int[] starts, int[] ends) {}

    /** As {@link #encode} without added special tokens, and where in the text each token comes from. */
    Located encodeLocated(String text) {
        requireCharacters(text);
        long encoding = library.encode(handle(), text, false);
        try {
            int[] ids = toInts(library.getTokenIds(encoding));
            CharSpan[] spans = library.getTokenCharSpans(encoding);
            int[] utf16 = utf16Positions(text);
            int[] starts = new int[ids.length];
            int[] ends = new int[ids.length];
            for (int i = 0; i < ids.length; i++) {
                // null: the token comes from no character of the text; it stands where the one before it ends
                starts[i] = spans[i] == null ? (i == 0 ? 0 : ends[i - 1]) : utf16[spans[i].getStart()];
                ends[i] = spans[i] == null ? starts[i] : utf16[spans[i].getEnd()];
            }
            return new Located(ids, starts, ends);
        } finally {
            library.deleteEncoding(encoding);
        }
    }

    /** For each code point of the text, and for its end, the position in UTF-16 units. */
    private static int[] utf16Positions(String text) {
        int[] positions = new int[text.codePointCount(0, text.length()) + 1];
        int at = 0;
        for (int i = 0; i + 1 < positions.length; i++) {
            positions[i] = at;
            at += Character.charCount(text.codePointAt(at));
        }
        positions[positions.length - 1] = at;
        return positions;
    }

    private static void requireCharacters(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isSurrogate(c)) {
                if (Character.isLowSurrogate(c)
                        || i + 1 == text.length()
                        || !Character.isLowSurrogate(text.charAt(i + 1))) {
                    throw new InputException(String.format(
                            "text holds half of a surrogate pair (\\u%04x at character %d); remove it", (int) c, i));
                }
                i++;
            }
        }
    }

    /**
     * The text of token ids; bytes that make no UTF-8 become U+FFFD.
     *
     * @param skipSpecial whether special tokens are left out
     */
    public String decode(int[] ids, boolean skipSpecial) {
        long[] wide = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0) {
                throw new IllegalArgumentException("token id " + ids[i] + " at position " + i + " is negative");
            }
            wide[i] = ids[i];
        }
        return library.decode(handle(), wide, skipSpecial);
    }

    /**
     * Decodes tokens one at a time, without special tokens.
     *
     * @param context the ids before the first one (a prompt): they decide, for instance, whether a leading space shows
     */
    public StreamDecoder streamDecoder(int... context) {
        return new StreamDecoder(this, context);
    }

    /** The ids that end a text: the tokenizer's own first, then those of the generation config; empty where none is known. */
    public int[] eosIds() {
        return eosIds.clone();
    }

    /** Whether {@code id} is one of {@link #eosIds}. */
    public boolean isEos(int id) {
        return Arrays.stream(eosIds).anyMatch(eos -> eos == id);
    }

    public OptionalInt bosId() {
        return bosId;
    }

    public OptionalInt padId() {
        return padId;
    }

    /** One more than the largest token id; a model's vocabulary may be larger, rounded up. */
    public int vocabSize() {
        return vocabSize;
    }

    @Override
    public void close() {
        long open = handle.getAndSet(CLOSED);
        if (open != CLOSED) {
            library.deleteTokenizer(open);
        }
    }

    private long handle() {
        long open = handle.get();
        if (open == CLOSED) {
            throw new IllegalStateException("tokenizer is closed");
        }
        return open;
    }

    private static int[] toInts(long[] ids) {
        int[] ints = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            ints[i] = Math.toIntExact(ids[i]);
        }
        return ints;
    }
}
