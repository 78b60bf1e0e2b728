package dev.graft.cli.run;

import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Checkpoint;
import dev.graft.lora.PeftAdapter;
import dev.graft.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The {@code --out} folder of a training run, looked at before anything is computed. */
public record OutputFolder(Path path) {
    private static final String PROBE_FILE = ".graft-write-test";

    /** @throws InputException where {@code path} is a file, or the model's own folder */
    public static OutputFolder of(Path path, Path model) {
        if (Files.exists(path) && !Files.isDirectory(path)) {
            throw new InputException("--out " + path + " is a file; name a folder");
        }
        if (isSame(path, model)) {
            throw new InputException("--out " + path + " is the base model's own folder; choose another");
        }
        return new OutputFolder(path);
    }

    private static boolean isSame(Path a, Path b) {
        try {
            return Files.exists(a) && Files.exists(b) && Files.isSameFile(a, b);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Protects what an earlier run left.
     *
     * @throws InputException where it would be overwritten unasked
     */
    public void requireFree(boolean resume, boolean force) {
        boolean hasAdapter = Files.exists(path.resolve(PeftAdapter.CONFIG_FILE))
                || Files.exists(path.resolve(PeftAdapter.WEIGHTS_FILE));
        boolean hasModel = Files.exists(path.resolve(Checkpoint.SINGLE_FILE));
        Optional<Path> checkpoint = newestCheckpoint();
        if (force || (resume && checkpoint.isPresent())) {
            return;
        }
        if (resume && hasAdapter) {
            throw new InputException("--out " + path + " holds a finished adapter and no checkpoint to resume from; "
                    + "train further with --init-adapter " + path
                    + " into another --out, or give --force to overwrite it");
        }
        if (resume && hasModel) {
            throw new InputException("--out " + path + " holds a finished model and no checkpoint to resume from; "
                    + "train further with --model " + path
                    + " and another --out, or give --force to overwrite it");
        }
        if (hasAdapter || hasModel || checkpoint.isPresent()) {
            String what = checkpoint
                    .map(folder -> "checkpoints up to " + folder.getFileName())
                    .orElse(hasAdapter ? "an adapter" : "a model");
            throw new InputException("--out " + path + " already holds " + what + "; "
                    + (checkpoint.isPresent() ? "give --resume to go on from there, " : "give ")
                    + "--force to overwrite, or choose another folder");
        }
    }

    /** The newest whole checkpoint, if there is one. */
    public Optional<Path> newestCheckpoint() {
        return Trainer.newestCheckpoint(path);
    }

    /** Makes the folder and writes a file in it, so that a run does not end at its last step. */
    public void requireWritable() {
        AtomicFiles.createDirectories(path);
        Path probe = path.resolve(PROBE_FILE);
        AtomicFiles.writeString(probe, "");
        delete(probe);
    }

    /** Deletes an earlier run's checkpoints, which a later {@code --resume} would take for this one's. */
    public int deleteCheckpoints() {
        int deleted = 0;
        for (Optional<Path> next = newestCheckpoint(); next.isPresent(); next = newestCheckpoint()) {
            deleteTree(next.get());
            deleted++;
        }
        return deleted;
    }

    private static void deleteTree(Path folder) {
        List<Path> files;
        try (Stream<Path> walk = Files.walk(folder)) {
            files = walk.sorted(Comparator.reverseOrder()).toList();
        } catch (IOException e) {
            throw new InputException(folder + ": cannot be read (" + e.getMessage() + ")", e);
        }
        files.forEach(OutputFolder::delete);
    }

    private static void delete(Path file) {
        try {
            Files.delete(file);
        } catch (IOException e) {
            throw new InputException("cannot delete " + file + ": " + e.getMessage() + "; choose another --out", e);
        }
    }
}
