package dev.graft.data;

import dev.graft.common.InputException;
import dev.graft.data.JsonLines.Line;
import dev.graft.data.RowEncoder.Row;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads a data file, one JSON object a line (UTF-8; blank lines are passed over), in these forms, which may be mixed in a file:
 *
 * <ul>
 *   <li>{@code {"text"}}: tokenized with the tokenizer's own begin token; an end token is appended if the last token is none;
 *       every token is a label.
 *   <li>{@code {"prompt", "completion"}}: ids(prompt with added special tokens) + ids(completion without), tokenized apart as
 *       they are when the model is used, so that no token spans the two; an end token is appended as above; the prompt's labels
 *       are masked.
 *   <li>{@code {"messages"}}, with {@code "tools"} if wanted: rendered by the chat template and tokenized as one text without
 *       added special tokens; a token is a label if it starts inside what an assistant said or its end-of-turn token
 *       ({@link ChatTemplate#renderMasked}).
 *   <li>{@code {"input_ids"}}, with {@code "labels"} (not shifted, -100 = masked; all tokens if absent) and
 *       {@code "attention_mask"} if wanted: right padding (zeros) is dropped. Needs no tokenizer.
 * </ul>
 *
 * <p>Rows longer than the sequence length are cut at their end; rows in which no label counts ({@link Example#targets}), also
 * after the cut, are dropped; both are counted in one warning.
 */
public final class DatasetReader {
    private static final Logger LOG = LoggerFactory.getLogger(DatasetReader.class);
    /** Lines tokenized at a time. */
    private static final int BATCH = 1024;

    private final Path file;
    private final int seqLen;
    private final RowEncoder encoder;
    private final DataLineParser parser = new DataLineParser();
    private final List<Example> examples = new ArrayList<>();
    private long tokens;
    private long targets;
    private int longest;
    private int rows;
    private int textRows;
    private int cut;
    private int dropped;
    private int withoutEnd;

    private DatasetReader(Path file, int seqLen, RowEncoder encoder) {
        this.file = file;
        this.seqLen = seqLen;
        this.encoder = encoder;
    }

    /**
     * Reads a data file whole.
     *
     * @param tokenizer called once if a line is not tokenized yet, e.g. {@code () -> Tokenizer.load(modelDir)}; what it gives is
     *     not closed here
     * @param template called once if a line has messages
     * @param seqLen the most tokens of a row
     * @param vocabSize the model's, which bounds token ids
     * @throws InputException {@code file:line: what; remedy} for a line that is malformed or does not fit the model; also where no
     *     row is left
     */
    public static Dataset read(
            Path jsonl, Supplier<Tokenizer> tokenizer, Supplier<ChatTemplate> template, int seqLen, int vocabSize) {
        if (seqLen < 2) {
            throw new InputException("sequence length " + seqLen + " leaves nothing to predict; give 2 or more");
        }
        if (!Files.isRegularFile(jsonl)) {
            throw new InputException(jsonl + ": no such file; give a file of JSON lines");
        }
        return new DatasetReader(jsonl, seqLen, new RowEncoder(tokenizer, template, vocabSize)).readAll();
    }

    private Dataset readAll() {
        try (JsonLines lines = new JsonLines(file)) {
            List<Line> batch = new ArrayList<>(BATCH);
            for (Line line = lines.next(); line != null; line = lines.next()) {
                if (!line.text().isBlank()) {
                    batch.add(line);
                }
                if (batch.size() == BATCH) {
                    addAll(batch);
                    batch.clear();
                }
            }
            addAll(batch);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
        if (rows == 0) {
            throw new InputException(file + ": no data lines; give one JSON object a line");
        }
        if (examples.isEmpty()) {
            throw new InputException(file + ": every label of all " + rows + " rows is masked (within " + seqLen
                    + " tokens), so there is nothing to learn; check the labels or raise --seq-len");
        }
        warn();
        return new Dataset(
                examples, new Dataset.Statistics(examples.size(), tokens, targets, longest, cut, dropped, withoutEnd));
    }

    /** A line tokenized, or why it cannot be. */
    private record Outcome(
            @Nullable Row row, boolean fromText, @Nullable InputException error) {}

    /** Tokenizes lines in parallel and adds them in their order. */
    private void addAll(List<Line> batch) {
        List<Outcome> outcomes = batch.parallelStream().map(this::encode).toList();
        outcomes.forEach(this::add);
    }

    private Outcome encode(Line line) {
        try {
            DataLine parsed = parser.parse(line.text());
            return new Outcome(encoder.encode(parsed), !(parsed instanceof DataLine.Tokens), null);
        } catch (InputException e) {
            return new Outcome(null, false, new InputException(file + ":" + line.number() + ": " + e.getMessage(), e));
        }
    }

    private void add(Outcome outcome) {
        Row row = outcome.row;
        if (row == null) {
            throw Objects.requireNonNull(outcome.error);
        }
        rows++;
        int length = Math.min(row.ids().length, seqLen);
        if (length < row.ids().length) {
            cut++;
        }
        if (length == 0) {
            dropped++;
            return;
        }
        Example example = new Example(Arrays.copyOf(row.ids(), length), Arrays.copyOf(row.labels(), length));
        int counting = example.targets();
        if (counting == 0) {
            dropped++;
            return;
        }
        examples.add(example);
        tokens += length;
        targets += counting;
        longest = Math.max(longest, length);
        if (outcome.fromText) {
            textRows++;
            withoutEnd += encoder.endsSomewhere(example) ? 0 : 1;
        }
    }

    private void warn() {
        if (cut > 0) {
            LOG.warn(
                    "{}: {} of {} rows are longer than {} tokens and were cut; raise --seq-len to keep them whole",
                    file,
                    cut,
                    rows,
                    seqLen);
        }
        if (dropped > 0) {
            LOG.warn(
                    "{}: {} of {} rows were dropped: all their labels are masked (within {} tokens)",
                    file,
                    dropped,
                    rows,
                    seqLen);
        }
        if (textRows > 0 && withoutEnd == textRows) {
            LOG.warn(
                    "{}: no row has an end token among its labels, so the model does not learn to stop; check eos_token in"
                            + " tokenizer_config.json against the chat template",
                    file);
        }
        if (!parser.unknownKeys().isEmpty()) {
            LOG.warn("{}: keys {} are not known and were ignored", file, parser.unknownKeys());
        }
    }
}
