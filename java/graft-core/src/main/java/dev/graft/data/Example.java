package dev.graft.data;

/**
 * One training row.
 *
 * @param inputIds token ids
 * @param labels the same length, not shifted; -100 where a token is not to be predicted
 */
public record Example(int[] inputIds, int[] labels) {
    public Example {
        if (inputIds.length != labels.length) {
            throw new IllegalArgumentException(inputIds.length + " ids and " + labels.length + " labels");
        }
    }
}
