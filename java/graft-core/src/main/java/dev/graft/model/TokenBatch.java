package dev.graft.model;

import dev.graft.engine.Sequences;
import java.util.Arrays;
import java.util.List;

/**
 * Sequences packed back to back, without padding between them, and what is to be predicted.
 *
 * <p>The token count is rounded up to a multiple of {@value #ROW_MULTIPLE} by one more sequence of id 0 that predicts nothing:
 * its gradient is exactly zero, and engines meet few different shapes.
 *
 * @param tokens ids of all rows
 * @param positions position of each row within its sequence
 * @param sequences where each sequence lies
 * @param longest length of the longest real sequence; scaled rotary positions can depend on it
 * @param targetRows rows that predict a target
 * @param targets the ids they should predict
 */
public record TokenBatch(
        int[] tokens, int[] positions, Sequences sequences, int longest, int[] targetRows, int[] targets) {

    /** Labels of this value are not predicted. */
    public static final int IGNORED = -100;

    /** Token counts are multiples of this. */
    public static final int ROW_MULTIPLE = 32;

    /** {@code tokens} rounded up to a multiple of {@link #ROW_MULTIPLE}. */
    public static int paddedRows(int tokens) {
        return Math.ceilDiv(tokens, ROW_MULTIPLE) * ROW_MULTIPLE;
    }

    /**
     * Packs rows of ids with their labels. Labels are shifted here: row i predicts label i + 1 of its sequence.
     *
     * @param inputIds ids of each sequence
     * @param labels of the same lengths, {@link #IGNORED} where nothing is to be predicted
     */
    public static TokenBatch pack(List<int[]> inputIds, List<int[]> labels) {
        int total = inputIds.stream().mapToInt(row -> row.length).sum();
        int padded = paddedRows(total);
        int[] tokens = new int[padded];
        int[] positions = new int[padded];
        int[] lengths = new int[inputIds.size() + (padded > total ? 1 : 0)];
        int[] targetRows = new int[total];
        int[] targets = new int[total];
        int targetCount = 0;
        int start = 0;
        for (int s = 0; s < inputIds.size(); s++) {
            int[] ids = inputIds.get(s);
            System.arraycopy(ids, 0, tokens, start, ids.length);
            for (int i = 0; i < ids.length; i++) {
                positions[start + i] = i;
                if (i + 1 < ids.length && labels.get(s)[i + 1] != IGNORED) {
                    targetRows[targetCount] = start + i;
                    targets[targetCount++] = labels.get(s)[i + 1];
                }
            }
            lengths[s] = ids.length;
            start += ids.length;
        }
        for (int i = total; i < padded; i++) {
            positions[i] = i - total;
        }
        if (padded > total) {
            lengths[inputIds.size()] = padded - total;
        }
        return new TokenBatch(
                tokens,
                positions,
                Sequences.packed(lengths),
                inputIds.stream().mapToInt(row -> row.length).max().orElse(0),
                Arrays.copyOf(targetRows, targetCount),
                Arrays.copyOf(targets, targetCount));
    }

    /**
     * One sequence with nothing to predict, not rounded up: {@code ids} at positions from {@code firstPosition} on.
     *
     * @param wholeLength of the text that is known already, these ids included; scaled rotary positions can depend on it
     */
    public static TokenBatch continuation(int[] ids, int firstPosition, int wholeLength) {
        int[] positions = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            positions[i] = firstPosition + i;
        }
        int keys = firstPosition + ids.length;
        Sequences sequences = new Sequences(new int[] {0}, new int[] {ids.length}, new int[] {0}, new int[] {keys});
        return new TokenBatch(ids, positions, sequences, wholeLength, new int[0], new int[0]);
    }

    /** Rows, the rounding included. */
    public int rows() {
        return tokens.length;
    }

    /** How many target tokens labels hold once shifted: all but the first that are not {@link #IGNORED}. */
    public static int countTargets(List<int[]> labels) {
        int count = 0;
        for (int[] row : labels) {
            for (int i = 1; i < row.length; i++) {
                count += row[i] == IGNORED ? 0 : 1;
            }
        }
        return count;
    }
}
