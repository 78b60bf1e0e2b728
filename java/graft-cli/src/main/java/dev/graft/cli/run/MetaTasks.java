package dev.graft.cli.run;

import dev.graft.cli.tasks.FewShotTask;
import dev.graft.cli.tasks.TaskFamily;
import dev.graft.cli.tasks.TaskKind;
import dev.graft.cli.world.Exercise;
import dev.graft.common.InputException;
import dev.graft.common.RandomFill;
import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import dev.graft.meta.Episodes;
import dev.graft.meta.MetaTask;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The tasks of a meta-training run.
 *
 * @param learned to learn a start from
 * @param heldOut to measure adaptation on, each split once
 */
public record MetaTasks(List<MetaTask> learned, List<Episodes.Episode> heldOut) {
    /** What {@code --tasks} says instead of a folder for the tasks that Graft draws itself. */
    public static final String GENERATED = "generated";

    private static final String SUFFIX = ".jsonl";

    /** One in so many tasks is kept aside where nothing else is asked for. */
    private static final int TASKS_PER_HELD_OUT = 5;

    /** Rows of a generated task, in episodes: enough for splits that differ. */
    private static final int POOL = 2;

    /**
     * Reads a folder of data files, one a task.
     *
     * @param heldOut tasks to keep aside, drawn by the seed of {@code episodes}; null for one in five
     */
    public static MetaTasks read(
            Path folder, ModelText text, int seqLen, int vocabSize, Episodes episodes, @Nullable Integer heldOut) {
        List<MetaTask> all = files(folder).stream()
                .map(file -> new MetaTask(
                        file.toString(), text.read(file, seqLen, vocabSize).examples()))
                .toList();
        int aside = heldOut == null ? all.size() / TASKS_PER_HELD_OUT : heldOut;
        if (aside >= all.size()) {
            throw new InputException("--held-out " + aside + " of the " + all.size() + " tasks in " + folder
                    + " leaves none to learn from; keep fewer aside or give more files");
        }
        List<MetaTask> shuffled = new ArrayList<>();
        for (int index : RandomFill.permutation(episodes.seed(), 0, all.size())) {
            shuffled.add(all.get(index));
        }
        List<MetaTask> learned = shuffled.subList(aside, all.size());
        episodes.requireEnough(learned);
        return new MetaTasks(learned, episodes.first(shuffled.subList(0, aside)));
    }

    private static List<Path> files(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new InputException("--tasks " + folder + ": no such folder; give one with a file of JSON lines ("
                    + SUFFIX + ") for each task, or " + GENERATED);
        }
        List<Path> files;
        try (Stream<Path> list = Files.list(folder)) {
            files = list.filter(file -> file.getFileName().toString().endsWith(SUFFIX))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new InputException("--tasks " + folder + ": cannot be read (" + e.getMessage() + ")", e);
        }
        if (files.isEmpty()) {
            throw new InputException("--tasks " + folder + " holds no " + SUFFIX + " file; give one for each task");
        }
        return files;
    }

    /** The kinds in {@code generated} or {@code generated:extract,code}; null where a folder is named. */
    public static @Nullable TaskFamily family(String tasks) {
        if (tasks.equals(GENERATED)) {
            return TaskFamily.all();
        }
        if (!tasks.startsWith(GENERATED + ":")) {
            return null;
        }
        return new TaskFamily(
                Arrays.stream(tasks.substring(GENERATED.length() + 1).split(","))
                        .map(TaskKind::of)
                        .toList());
    }

    /**
     * Draws tasks of a family: none that is held out is equal to one that is learned from, and its query rows are of those that no
     * task's support has.
     *
     * @param count tasks to learn from
     * @param heldOut null for one in five
     */
    public static MetaTasks draw(
            TaskFamily family, Tokenizer tokenizer, Episodes episodes, int count, @Nullable Integer heldOut) {
        int aside = heldOut == null ? Math.ceilDiv(count, TASKS_PER_HELD_OUT) : heldOut;
        int rows = POOL * (episodes.shots() + episodes.queries());
        List<MetaTask> learned = tasks("--task-count", count, () -> family.trainTasks(count)).stream()
                .map(task -> new MetaTask(task.name(), rows(task.support(rows, episodes.seed()), tokenizer)))
                .toList();
        List<Episodes.Episode> kept = tasks("--held-out", aside, () -> family.testTasks(aside)).stream()
                .map(task -> new Episodes.Episode(
                        task.name(),
                        rows(task.support(episodes.shots(), episodes.seed()), tokenizer),
                        rows(task.heldOut(episodes.queries()), tokenizer)))
                .toList();
        return new MetaTasks(learned, kept);
    }

    private static List<FewShotTask> tasks(String flag, int count, Supplier<List<FewShotTask>> source) {
        try {
            return source.get();
        } catch (IllegalArgumentException e) {
            throw new InputException(
                    flag + " " + count + ": there are not so many (" + e.getMessage() + "); lower it", e);
        }
    }

    private static List<Example> rows(List<Exercise> exercises, Tokenizer tokenizer) {
        return exercises.stream().map(exercise -> exercise.toRow(tokenizer)).toList();
    }

    /** The rows of all tasks. */
    public List<Example> rows() {
        return Stream.concat(
                        learned.stream().map(MetaTask::rows),
                        heldOut.stream().flatMap(task -> Stream.of(task.support(), task.query())))
                .flatMap(List::stream)
                .toList();
    }
}
