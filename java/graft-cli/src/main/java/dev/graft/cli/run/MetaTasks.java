package dev.graft.cli.run;

import dev.graft.common.InputException;
import dev.graft.common.RandomFill;
import dev.graft.data.Example;
import dev.graft.meta.MetaTask;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The tasks of a meta-training run.
 *
 * @param learned to learn a start from
 * @param heldOut to measure adaptation on
 */
public record MetaTasks(List<MetaTask> learned, List<MetaTask> heldOut) {
    private static final String SUFFIX = ".jsonl";

    /**
     * Reads a folder of data files, one a task.
     *
     * @param heldOut tasks to keep aside, drawn by {@code seed}; null for one in five
     */
    public static MetaTasks read(
            Path folder, ModelText text, int seqLen, int vocabSize, @Nullable Integer heldOut, long seed) {
        List<MetaTask> all = files(folder).stream()
                .map(file -> new MetaTask(
                        file.toString(), text.read(file, seqLen, vocabSize).examples()))
                .toList();
        int aside = heldOut == null ? all.size() / 5 : heldOut;
        if (aside >= all.size()) {
            throw new InputException("--held-out " + aside + " of the " + all.size() + " tasks in " + folder
                    + " leaves none to learn from; keep fewer aside or give more files");
        }
        List<MetaTask> shuffled = new ArrayList<>();
        for (int index : RandomFill.permutation(seed, 0, all.size())) {
            shuffled.add(all.get(index));
        }
        return new MetaTasks(shuffled.subList(aside, all.size()), shuffled.subList(0, aside));
    }

    private static List<Path> files(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new InputException(
                    "--tasks " + folder + ": no such folder; give one with a file of JSON lines (" + SUFFIX + ") for each task");
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

    /** The rows of all tasks. */
    public List<Example> rows() {
        return Stream.concat(learned.stream(), heldOut.stream())
                .flatMap(task -> task.rows().stream())
                .toList();
    }
}
