package dev.graft.meta;

import dev.graft.common.InputException;
import dev.graft.common.RandomFill;
import dev.graft.data.Example;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Splits a task's rows into the support rows that are adapted to and the query rows that judge it: each time it is met in another
 * way, as a pure function of seed, task and time.
 *
 * @param shots support rows
 * @param queries query rows, or as many as are left where a task has fewer
 * @param seed of the splits and of the order of tasks
 */
public record Episodes(int shots, int queries, long seed) {
    /** An odd constant that keeps the random streams of tasks apart. */
    private static final long TASK_STRIDE = 0x9E3779B97F4A7C15L;

    public Episodes {
        if (shots < 1) {
            throw new InputException("--shots " + shots + ": must be at least 1");
        }
        if (queries < 1) {
            throw new InputException("--query " + queries + ": must be at least 1");
        }
    }

    /** A task as it is met once. */
    public record Episode(String task, List<Example> support, List<Example> query) {}

    /** @throws InputException naming a task that has too few rows to be split */
    public void requireEnough(List<MetaTask> tasks) {
        for (MetaTask task : tasks) {
            if (task.rows().size() <= shots) {
                throw new InputException(
                        task.name() + ": a task of " + task.rows().size() + " rows with --shots " + shots
                                + " leaves no row to judge the adaptation by; give it more rows, or lower --shots");
            }
        }
    }

    /**
     * The split of a task.
     *
     * @param index of the task among all
     * @param time how often it was met before
     */
    public Episode episode(MetaTask task, int index, int time) {
        int[] order = RandomFill.permutation(
                seed + (index + 1) * TASK_STRIDE, time, task.rows().size());
        int end = Math.min(order.length, shots + queries);
        return new Episode(task.name(), rows(task, order, 0, shots), rows(task, order, shots, end));
    }

    /**
     * The first split of each task.
     *
     * @throws InputException as {@link #requireEnough}
     */
    public List<Episode> first(List<MetaTask> tasks) {
        requireEnough(tasks);
        return IntStream.range(0, tasks.size())
                .mapToObj(index -> episode(tasks.get(index), index, 0))
                .toList();
    }

    private static List<Example> rows(MetaTask task, int[] order, int from, int to) {
        return Arrays.stream(order, from, to).mapToObj(task.rows()::get).toList();
    }

    /** The task that comes {@code number}-th in a run over {@code count} tasks: each once, in a new order, before any comes again. */
    int taskAt(long number, int count) {
        return RandomFill.permutation(seed, Math.toIntExact(number / count), count)[(int) (number % count)];
    }
}
