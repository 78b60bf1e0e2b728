package dev.graft.data;

import java.util.List;

/** The rows of a data file in its order, all with at least one label that counts. */
public record Dataset(List<Example> examples, Statistics statistics) {
    public Dataset {
        examples = List.copyOf(examples);
    }

    /** The number of rows. */
    public int size() {
        return examples.size();
    }

    public Example get(int index) {
        return examples.get(index);
    }

    /**
     * Counts over a data file.
     *
     * @param rows rows kept
     * @param tokens tokens of the rows kept
     * @param targetTokens labels that count, the divisor of a mean loss
     * @param longestRow tokens of the longest row
     * @param rowsCut rows that were longer than the sequence length and were cut
     * @param rowsDropped rows left out because no label of theirs counts
     * @param rowsWithoutEnd rows kept from text forms without an end token among the labels that count
     */
    public record Statistics(
            int rows,
            long tokens,
            long targetTokens,
            int longestRow,
            int rowsCut,
            int rowsDropped,
            int rowsWithoutEnd) {}
}
