package dev.graft.cli.compare;

import dev.graft.cli.tasks.ExactMatch;
import dev.graft.cli.tasks.FewShotTask;
import dev.graft.cli.world.BaseText;
import dev.graft.cli.world.Exercise;
import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import dev.graft.model.LanguageModel;
import java.util.List;

/** One of the generated few-shot tasks, on the embedded base. */
final class GeneratedTask implements CompareTask {
    private final FewShotTask task;
    private final Tokenizer tokenizer;
    private final List<Exercise> heldOut;
    private final List<Example> heldOutRows;
    private final List<Example> baseText;

    /** @param questions how many held-out ones there are */
    GeneratedTask(FewShotTask task, Tokenizer tokenizer, int questions) {
        this.task = task;
        this.tokenizer = tokenizer;
        this.heldOut = task.heldOut(questions);
        this.heldOutRows = rows(heldOut);
        this.baseText = BaseText.rows(tokenizer);
    }

    @Override
    public String name() {
        return task.name() + " (" + task.rule() + ")";
    }

    @Override
    public List<Example> support(int shots, long seed) {
        return rows(task.support(shots, seed));
    }

    private List<Example> rows(List<Exercise> exercises) {
        return exercises.stream().map(exercise -> exercise.toRow(tokenizer)).toList();
    }

    @Override
    public List<Example> heldOut() {
        return heldOutRows;
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
