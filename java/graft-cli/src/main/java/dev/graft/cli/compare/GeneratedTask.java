package dev.graft.cli.compare;

import dev.graft.cli.tasks.ExactMatch;
import dev.graft.cli.tasks.FewShotTask;
import dev.graft.cli.world.Corpus;
import dev.graft.cli.world.Exercise;
import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import dev.graft.model.LanguageModel;
import java.util.List;

/** One of the generated few-shot tasks, on the embedded base. */
final class GeneratedTask implements CompareTask {
    private static final long BASE_TEXT_SEED = 99;
    private static final int BASE_TEXT_ROWS = 48;
    private static final int BASE_TEXT_TOKENS = 256;

    private final FewShotTask task;
    private final Tokenizer tokenizer;
    private final List<Exercise> heldOut;
    private final List<Example> baseText;

    /** @param questions how many held-out ones there are */
    GeneratedTask(FewShotTask task, Tokenizer tokenizer, int questions) {
        this.task = task;
        this.tokenizer = tokenizer;
        this.heldOut = task.heldOut(questions);
        this.baseText = Corpus.stream(BASE_TEXT_SEED)
                .map(text -> tokenizer.encode(text, true))
                .filter(ids -> ids.length > 1 && ids.length <= BASE_TEXT_TOKENS)
                .limit(BASE_TEXT_ROWS)
                .map(ids -> new Example(ids, ids))
                .toList();
    }

    @Override
    public String name() {
        return task.name() + " (" + task.rule() + ")";
    }

    @Override
    public List<Example> support(int shots, long seed) {
        return task.support(shots, seed).stream()
                .map(exercise -> exercise.toRow(tokenizer))
                .toList();
    }

    @Override
    public List<Example> heldOut() {
        return heldOut.stream().map(exercise -> exercise.toRow(tokenizer)).toList();
    }

    @Override
    public double score(LanguageModel model) {
        return ExactMatch.of(model, tokenizer, heldOut).percent();
    }

    @Override
    public List<Example> baseText() {
        return baseText;
    }

    @Override
    public int[] prompt() {
        return tokenizer.encode(heldOut.getFirst().prompt(), true);
    }
}
