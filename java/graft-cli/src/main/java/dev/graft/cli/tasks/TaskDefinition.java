package dev.graft.cli.tasks;

import java.util.Locale;
import java.util.random.RandomGenerator;

/** What is asked in a task, and all that there is to say about it; a value that follows from nothing but a seed. */
sealed interface TaskDefinition permits Extract, Code, Caption, Relabel, Pick, Sort, Reorder, Count {
    /** A few words for the task's name, without spaces. */
    String slug();

    /** The whole rule in one line; definitions with the same rule are the same. */
    String rule();

    /**
     * Draws an exercise.
     *
     * @param index place of the exercise in its set: where answers are few they take turns by it, so that a few exercises
     *     show them all
     */
    Sample sample(int index, RandomGenerator random);

    /** The name of a constant as it is written in names: {@code FIRST_LAST} is {@code first-last}. */
    static String slug(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
