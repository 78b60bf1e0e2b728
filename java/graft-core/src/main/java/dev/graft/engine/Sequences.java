package dev.graft.engine;

/**
 * Where each sequence of a packed batch lies. Tokens of all sequences stand back to back, so no row is padding. Query i of a
 * sequence (0-based) stands at position {@code keyLength - queryLength + i} among its keys and sees itself and what comes
 * before: training has queries and keys at the same rows, generation has few queries against a long key cache.
 *
 * @param queryStart first row of each sequence in q and o
 * @param queryLength rows of each sequence in q and o
 * @param keyStart first row of each sequence in k and v
 * @param keyLength rows of each sequence in k and v; at least its queryLength
 */
public record Sequences(int[] queryStart, int[] queryLength, int[] keyStart, int[] keyLength) {
    public Sequences {
        int count = queryStart.length;
        if (queryLength.length != count || keyStart.length != count || keyLength.length != count) {
            throw new IllegalArgumentException("sequence arrays differ in length");
        }
        for (int i = 0; i < count; i++) {
            if (queryLength[i] < 0 || keyLength[i] < queryLength[i] || queryStart[i] < 0 || keyStart[i] < 0) {
                throw new IllegalArgumentException("sequence " + i + " has " + queryLength[i] + " queries at row "
                        + queryStart[i] + " and " + keyLength[i] + " keys at row " + keyStart[i]);
            }
        }
    }

    /** Sequences of these lengths, back to back, each attending to itself. */
    public static Sequences packed(int... lengths) {
        int[] start = new int[lengths.length];
        for (int i = 1; i < lengths.length; i++) {
            start[i] = start[i - 1] + lengths[i - 1];
        }
        return new Sequences(start, lengths.clone(), start, lengths.clone());
    }

    public int count() {
        return queryStart.length;
    }
}
