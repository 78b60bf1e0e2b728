package dev.graft.cli.compare;

import dev.graft.data.Example;
import dev.graft.model.LanguageModel;
import java.util.List;

/** What the contestants learn, and what they are judged by. */
interface CompareTask {
    /** As the report names it. */
    String name();

    /** Rows to train on: {@code shots} of them, others for another seed. */
    List<Example> support(int shots, long seed);

    /** Rows of the same task that no support has. */
    List<Example> heldOut();

    /** Percent of held-out questions that {@code model} answers exactly; NaN where the task has no answers to compare. */
    double score(LanguageModel model);

    /** Text of the kind that the base was trained on, by which forgetting is told; empty where there is none at hand. */
    List<Example> baseText();

    /** Token ids to continue when the time of a token is measured. */
    int[] prompt();
}
