package dev.graft.data;

import java.util.Arrays;

/**
 * One row of training data.
 *
 * @param inputIds the tokens
 * @param labels the tokens again where they are to be learnt and {@link #MASKED} where not; not shifted, so {@code labels[t]} is
 *     what the model has to predict from the tokens before t, and {@code labels[0]} never counts
 */
public record Example(int[] inputIds, int[] labels) {
    /** The label of a token that is not to be learnt. */
    public static final int MASKED = -100;

    public Example {
        if (inputIds.length == 0) {
            throw new IllegalArgumentException("an example needs at least one token");
        }
        if (inputIds.length != labels.length) {
            throw new IllegalArgumentException(
                    "an example has " + inputIds.length + " tokens but " + labels.length + " labels");
        }
    }

    /**
     * The row of a prompt and its completion, uncut: what {@link DatasetReader} makes of a line
     * {@code {"prompt": …, "completion": …}}. The prompt is masked and an end token follows the completion.
     *
     * @throws dev.graft.common.InputException where a text holds half of a surrogate pair
     * @throws IllegalArgumentException where both texts are empty and the tokenizer has no end token
     */
    public static Example ofCompletion(Tokenizer tokenizer, String prompt, String completion) {
        RowEncoder.Row row = RowEncoder.completion(tokenizer, new DataLine.Completion(prompt, completion));
        return new Example(row.ids(), row.labels());
    }

    /** The number of tokens. */
    public int length() {
        return inputIds.length;
    }

    /** The number of labels that count: those after the first that are not masked. */
    public int targets() {
        return (int) Arrays.stream(labels, 1, labels.length)
                .filter(label -> label != MASKED)
                .count();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Example example
                && Arrays.equals(inputIds, example.inputIds)
                && Arrays.equals(labels, example.labels);
    }

    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(inputIds) + Arrays.hashCode(labels);
    }

    @Override
    public String toString() {
        return "Example[inputIds=" + Arrays.toString(inputIds) + ", labels=" + Arrays.toString(labels) + "]";
    }
}
