package dev.graft.cli.tasks;

import dev.graft.cli.world.Grammar;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * All tasks of some kinds, and which of them may be learnt from and which are kept for the test. No task of one split is
 * equal to one of the other.
 *
 * @param kinds the kinds to draw from, at least one
 */
public record TaskFamily(List<TaskKind> kinds) {
    private static final int SEEDS = 100_000;

    public TaskFamily {
        kinds = List.copyOf(kinds);
        if (kinds.isEmpty()) {
            throw new IllegalArgumentException("a family needs at least one kind of task");
        }
    }

    /** The family of all kinds. */
    public static TaskFamily all() {
        return new TaskFamily(List.of(TaskKind.values()));
    }

    /** A task at random, of any kind with the same chance; the same seed gives the same task. */
    public FewShotTask draw(Split split, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        TaskKind kind = Grammar.pick(kinds, random);
        FewShotTask task = FewShotTask.of(kind, random.nextInt(SEEDS));
        while (task.split() != split) {
            task = FewShotTask.of(kind, random.nextInt(SEEDS));
        }
        return task;
    }

    /**
     * The first tasks to learn from, kind by kind in turn, all different.
     *
     * @throws IllegalArgumentException where there are fewer
     */
    public List<FewShotTask> trainTasks(int count) {
        return tasks(Split.TRAIN, count);
    }

    /** As {@link #trainTasks}, of the tasks to judge by. */
    public List<FewShotTask> testTasks(int count) {
        return tasks(Split.TEST, count);
    }

    private List<FewShotTask> tasks(Split split, int count) {
        List<Iterator<FewShotTask>> sources =
                kinds.stream().map(kind -> tasks(kind, split).iterator()).toList();
        List<FewShotTask> tasks = new ArrayList<>(count);
        while (tasks.size() < count) {
            int before = tasks.size();
            for (Iterator<FewShotTask> source : sources) {
                if (tasks.size() < count && source.hasNext()) {
                    tasks.add(source.next());
                }
            }
            if (tasks.size() == before) {
                throw new IllegalArgumentException(count + " tasks of " + before + " there are");
            }
        }
        return tasks;
    }

    private static Stream<FewShotTask> tasks(TaskKind kind, Split split) {
        return LongStream.range(0, SEEDS)
                .mapToObj(seed -> FewShotTask.of(kind, seed))
                .filter(task -> task.split() == split)
                .distinct();
    }
}
