package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.common.InputException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Predicate;

/**
 * A task to be learnt from a few exercises. Of all exercises half can only be drawn to learn from and half only to be
 * judged by: none of the second has an answer that one of the first has, or where answers are few, the facts or the list
 * of one of the first. All is drawn by seed, the same on every machine.
 */
public final class FewShotTask {
    private static final long HELD_OUT_STREAM = -1;
    private static final int TASKS_PER_TEST_TASK = 4;

    /** So many samples without a new one among them: there are no more. */
    private static final int MOST_MISSES = 10_000;

    private final TaskKind kind;
    private final long seed;
    private final TaskDefinition definition;

    private FewShotTask(TaskKind kind, long seed, TaskDefinition definition) {
        this.kind = kind;
        this.seed = seed;
        this.definition = definition;
    }

    /** The task of a kind that belongs to a seed; two seeds may give tasks that are equal. */
    public static FewShotTask of(TaskKind kind, long seed) {
        return new FewShotTask(kind, seed, kind.define(new SplittableRandom(seed)));
    }

    public TaskKind kind() {
        return kind;
    }

    /** The seed that {@link #of} takes to give this task. */
    public long seed() {
        return seed;
    }

    /** Kind, contents and seed in a word: {@code extract/json-who-day/3}. */
    public String name() {
        return kind.label() + "/" + definition.slug() + "/" + seed;
    }

    /** What is asked, whole and in one line; two tasks of a kind with the same rule are equal. */
    public String rule() {
        return definition.rule();
    }

    /** The split to which this task belongs, and all that are equal to it. */
    public Split split() {
        boolean test = new SplittableRandom(ruleSeed()).nextInt(TASKS_PER_TEST_TASK) == 0;
        return test ? Split.TEST : Split.TRAIN;
    }

    /**
     * Exercises to learn from, all different. Fewer shots of a seed are the first of more. Where there are few answers, they
     * take turns.
     *
     * @throws InputException where there are fewer; there are 64 of every task
     */
    public List<Exercise> support(int shots, long seed) {
        return draw(shots, sample -> !isHeldOut(sample), stream(seed));
    }

    /**
     * Exercises to be judged by, all different. Fewer are the first of more.
     *
     * @throws InputException where there are fewer; there are 64 of every task
     */
    public List<Exercise> heldOut(int count) {
        return draw(count, FewShotTask::isHeldOut, stream(HELD_OUT_STREAM));
    }

    private List<Exercise> draw(int count, Predicate<Sample> wanted, SplittableRandom random) {
        List<Exercise> exercises = new ArrayList<>();
        Set<String> prompts = new HashSet<>();
        int misses = 0;
        while (exercises.size() < count) {
            if (misses == MOST_MISSES) {
                throw new InputException(name() + " has " + exercises.size() + " different examples of this kind, not "
                        + count + "; ask for fewer");
            }
            Sample sample = definition.sample(exercises.size(), random);
            if (wanted.test(sample) && prompts.add(sample.exercise().prompt())) {
                exercises.add(sample.exercise());
                misses = 0;
            } else {
                misses++;
            }
        }
        return exercises;
    }

    private static boolean isHeldOut(Sample sample) {
        return new SplittableRandom(sample.identity().hashCode()).nextBoolean();
    }

    private SplittableRandom stream(long number) {
        long root = new SplittableRandom(ruleSeed()).nextLong();
        return new SplittableRandom(root + new SplittableRandom(number).nextLong());
    }

    private long ruleSeed() {
        return Objects.hash(kind.label(), rule());
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof FewShotTask task && kind == task.kind && rule().equals(task.rule());
    }

    @Override
    public int hashCode() {
        return rule().hashCode();
    }

    @Override
    public String toString() {
        return name();
    }
}
