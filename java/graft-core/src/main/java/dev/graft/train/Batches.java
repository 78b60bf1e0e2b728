package dev.graft.train;

import dev.graft.data.Example;
import dev.graft.model.TokenBatch;
import java.util.Arrays;
import java.util.List;

/** Turns rows of a data set into token batches. */
public final class Batches {
    private Batches() {}

    /** These rows, one after another. */
    public static TokenBatch pack(List<Example> rows) {
        return TokenBatch.pack(
                rows.stream().map(Example::inputIds).toList(),
                rows.stream().map(Example::labels).toList());
    }

    static TokenBatch pack(List<Example> all, int[] rows) {
        return pack(Arrays.stream(rows).mapToObj(all::get).toList());
    }

    static int countTargets(List<Example> all, int[] rows) {
        return TokenBatch.countTargets(
                Arrays.stream(rows).mapToObj(row -> all.get(row).labels()).toList());
    }

    static int countTokens(List<Example> all, int[] rows) {
        return Arrays.stream(rows).map(row -> all.get(row).inputIds().length).sum();
    }

    static int longest(List<Example> all) {
        return all.stream().mapToInt(row -> row.inputIds().length).max().orElse(0);
    }

    /** The most tokens that {@code batchSize} rows can have together. */
    static int mostTokens(List<Example> all, int batchSize) {
        int[] lengths =
                all.stream().mapToInt(row -> row.inputIds().length).sorted().toArray();
        long sum = 0;
        for (int i = Math.max(0, lengths.length - batchSize); i < lengths.length; i++) {
            sum += lengths[i];
        }
        return Math.toIntExact(sum);
    }
}
