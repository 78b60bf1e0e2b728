package dev.graft.cli.compare;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.model.LanguageModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * The user's own rows, judged by their loss.
 *
 * @param file where they came from
 * @param rows to learn from, of which each run takes some
 * @param heldOut to be judged by
 * @param baseText text of the kind that the base was trained on; may be empty
 */
record UserTask(Path file, List<Example> rows, List<Example> heldOut, List<Example> baseText) implements CompareTask {
    private static final int PROMPT_TOKENS = 32;

    @Override
    public String name() {
        return file.getFileName().toString();
    }

    /** Different rows for each seed; fewer shots of a seed are the first of more. */
    @Override
    public List<Example> support(int shots, long seed) {
        if (shots > rows.size()) {
            throw new InputException("--shots " + shots + ": " + file + " has " + rows.size() + " rows; ask for fewer");
        }
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            order.add(i);
        }
        Collections.shuffle(order, new Random(seed));
        return order.subList(0, shots).stream().map(rows::get).toList();
    }

    @Override
    public double score(LanguageModel model) {
        return Double.NaN;
    }

    @Override
    public int[] prompt() {
        int[] ids = heldOut.getFirst().inputIds();
        return Arrays.copyOf(ids, Math.min(ids.length, PROMPT_TOKENS));
    }
}
