package dev.graft.data;

import dev.graft.common.InputException;
import dev.graft.data.ChatTemplate.MaskedChat;
import dev.graft.data.Tokenizer.Located;
import dev.graft.data.jinja.JinjaTemplate.Span;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Turns a data line into token ids and labels, uncut; what may be learnt of each form is said at {@link DatasetReader}. Safe for
 * use by several threads.
 */
final class RowEncoder {
    private final Lazy<Tokenizer> tokenizer;
    private final Lazy<ChatTemplate> template;
    private final int vocabSize;

    RowEncoder(Supplier<Tokenizer> tokenizer, Supplier<ChatTemplate> template, int vocabSize) {
        this.tokenizer = new Lazy<>(tokenizer);
        this.template = new Lazy<>(template);
        this.vocabSize = vocabSize;
    }

    /** Token ids and labels of a line; both empty where the line has no token. */
    record Row(int[] ids, int[] labels) {}

    Row encode(DataLine line) {
        Row row = switch (line) {
            case DataLine.Text text -> text(text);
            case DataLine.Completion completion -> completion(tokenizer(), completion);
            case DataLine.Chat chat -> chat(chat);
            case DataLine.Tokens tokens -> tokens(tokens);
        };
        for (int i = 0; i < row.ids.length; i++) {
            int label = row.labels[i];
            if (!inVocabulary(row.ids[i])) {
                throw misfit("token id " + row.ids[i] + " at position " + i + " is not");
            }
            if (label != Example.MASKED && !inVocabulary(label)) {
                throw misfit("label " + label + " at position " + i + " is neither -100 (masked) nor");
            }
        }
        return row;
    }

    private boolean inVocabulary(int id) {
        return id >= 0 && id < vocabSize;
    }

    private InputException misfit(String what) {
        return new InputException(what + " in the model's vocabulary [0, " + vocabSize
                + "); tokenize the data with the tokenizer of this model");
    }

    /** Whether an end token is among the labels that count of a row that was tokenized here. */
    boolean endsSomewhere(Example example) {
        return Arrays.stream(example.labels(), 1, example.length()).anyMatch(tokenizer()::isEos);
    }

    private Row text(DataLine.Text line) {
        int[] ids = withEnd(tokenizer(), tokenizer().encode(line.text(), true));
        return new Row(ids, ids.clone());
    }

    /** The row of a prompt, masked, and its completion, ended by an end token. */
    static Row completion(Tokenizer tokenizer, DataLine.Completion line) {
        int[] prompt = tokenizer.encode(line.prompt(), true);
        int[] completion = withEnd(tokenizer, tokenizer.encode(line.completion(), false));
        int[] ids = Arrays.copyOf(prompt, prompt.length + completion.length);
        System.arraycopy(completion, 0, ids, prompt.length, completion.length);
        int[] labels = ids.clone();
        Arrays.fill(labels, 0, prompt.length, Example.MASKED);
        return new Row(ids, labels);
    }

    private static int[] withEnd(Tokenizer tokenizer, int[] ids) {
        int[] eos = tokenizer.eosIds();
        if (eos.length == 0 || (ids.length > 0 && tokenizer.isEos(ids[ids.length - 1]))) {
            return ids;
        }
        int[] ended = Arrays.copyOf(ids, ids.length + 1);
        ended[ids.length] = eos[0];
        return ended;
    }

    /** A token is learnt if it starts inside an assistant span: one that begins before the span belongs to the prompt. */
    private Row chat(DataLine.Chat line) {
        MaskedChat chat = template().renderMasked(line.messages(), line.tools());
        Located tokens = tokenizer().encodeLocated(chat.text());
        int[] labels = new int[tokens.ids().length];
        Arrays.fill(labels, Example.MASKED);
        List<Span> targets = chat.targets();
        int next = 0;
        for (int t = 0; t < labels.length; t++) {
            int start = tokens.starts()[t];
            while (next < targets.size() && targets.get(next).end() <= start) {
                next++;
            }
            if (next < targets.size() && targets.get(next).start() <= start) {
                labels[t] = tokens.ids()[t];
            }
        }
        return new Row(tokens.ids(), labels);
    }

    private Row tokens(DataLine.Tokens line) {
        int[] ids = line.inputIds();
        int[] labels = line.labels() == null ? ids.clone() : line.labels();
        if (labels.length != ids.length) {
            throw new InputException("\"labels\" has " + labels.length + " entries and \"input_ids\" " + ids.length
                    + "; give one label a token (labels are not shifted)");
        }
        int length = line.attentionMask() == null ? ids.length : unpaddedLength(line.attentionMask(), ids.length);
        return new Row(Arrays.copyOf(ids, length), Arrays.copyOf(labels, length));
    }

    /** The number of ones that an attention mask of right padding, ones and then zeros, begins with. */
    private static int unpaddedLength(int[] mask, int length) {
        if (mask.length != length) {
            throw new InputException("\"attention_mask\" has " + mask.length + " entries and \"input_ids\" " + length
                    + "; give one a token, or leave it out");
        }
        int ones = 0;
        while (ones < length && mask[ones] == 1) {
            ones++;
        }
        for (int i = ones; i < length; i++) {
            if (mask[i] != 0) {
                throw new InputException("\"attention_mask\" is not ones followed by zeros (position " + i
                        + "); pad on the right only, or leave padding out");
            }
        }
        return ones;
    }

    private Tokenizer tokenizer() {
        return tokenizer.get();
    }

    private ChatTemplate template() {
        return template.get();
    }

    /** Something loaded at the first use, by whichever thread comes first. */
    private static final class Lazy<T> {
        private final Supplier<T> source;
        private volatile @Nullable T value;

        Lazy(Supplier<T> source) {
            this.source = source;
        }

        T get() {
            T loaded = value;
            return loaded == null ? load() : loaded;
        }

        private synchronized T load() {
            T loaded = value;
            if (loaded == null) {
                loaded = source.get();
                value = loaded;
            }
            return loaded;
        }
    }
}
