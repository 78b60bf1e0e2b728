package dev.graft.cli.run;

import dev.graft.bottleneck.BottleneckFile;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.TrainRequest;
import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Checkpoint;
import dev.graft.lora.PeftAdapter;
import dev.graft.train.Method;
import dev.graft.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The {@code --out} folder of a run, looked at before anything is computed.
 *
 * @param kind what the run writes there
 */
public record OutputFolder(Path path, Kind kind) {
    private static final String PROBE_FILE = ".graft-write-test";

    /** What a folder may hold: one of these, for readers apply an adapter to a model that lies beside it. */
    public enum Kind {
        /** LoRA or bottleneck modules. */
        ADAPTER("adapter", "an adapter", "--init-adapter"),
        /** All weights, trained or merged. */
        MODEL("model", "a model", "--model");

        private final String noun;
        private final String one;
        private final String startFlag;

        Kind(String noun, String one, String startFlag) {
            this.noun = noun;
            this.one = one;
            this.startFlag = startFlag;
        }

        private Kind other() {
            return this == ADAPTER ? MODEL : ADAPTER;
        }

        private boolean isWeights(String name) {
            return switch (this) {
                case ADAPTER -> name.equals(PeftAdapter.WEIGHTS_FILE) || name.equals(BottleneckFile.WEIGHTS_FILE);
                case MODEL ->
                    name.equals(Checkpoint.INDEX_FILE) || (name.startsWith("model") && name.endsWith(".safetensors"));
            };
        }
    }

    /** @throws InputException where {@code path} is a file, or the model's own folder */
    public static OutputFolder of(Path path, Path model, Kind kind) {
        if (Files.exists(path) && !Files.isDirectory(path)) {
            throw new InputException("--out " + path + " is a file; name a folder");
        }
        if (isSame(path, model)) {
            throw new InputException("--out " + path + " is the base model's own folder; choose another");
        }
        return new OutputFolder(path, kind);
    }

    /** As above, for what {@code request} trains. */
    public static OutputFolder of(Path path, TrainRequest request) {
        return of(path, request.model(), request.method() instanceof Method.Full ? Kind.MODEL : Kind.ADAPTER);
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
     * @throws InputException where it would be overwritten unasked, or is of the other kind
     */
    public void requireFree(boolean force) {
        requireNoOther();
        Optional<Path> checkpoint = newestCheckpoint();
        if (!force && (holds(kind) || checkpoint.isPresent())) {
            throw new InputException("--out " + path + " already holds "
                    + checkpoint.map(OutputFolder::upTo).orElse(kind.one)
                    + "; give --force to overwrite, or choose another folder");
        }
    }

    /** As {@link #requireFree(boolean)}, for a run that may go on from its newest checkpoint. */
    public void requireFree(boolean resume, boolean force) {
        requireNoOther();
        Optional<Path> checkpoint = newestCheckpoint();
        if (force || (resume && checkpoint.isPresent())) {
            return;
        }
        if (resume && holds(kind)) {
            throw new InputException("--out " + path + " holds a finished " + kind.noun
                    + " and no checkpoint to resume from; train further with " + kind.startFlag + " " + path
                    + " and another --out, or give --force to overwrite it");
        }
        if (checkpoint.isPresent()) {
            throw new InputException("--out " + path + " already holds " + upTo(checkpoint.get())
                    + "; give --resume to go on from there, --force to overwrite, or choose another folder");
        }
        requireFree(false);
    }

    private void requireNoOther() {
        if (holds(kind.other())) {
            throw new InputException("--out " + path + " already holds " + kind.other().one
                    + ", and readers apply an adapter to a model beside it; choose another folder");
        }
    }

    private boolean holds(Kind what) {
        return !weightFiles(what).isEmpty()
                || (what == Kind.ADAPTER && Files.exists(path.resolve(PeftAdapter.CONFIG_FILE)));
    }

    private List<Path> weightFiles(Kind what) {
        if (!Files.isDirectory(path)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(path)) {
            return files.filter(file -> what.isWeights(file.getFileName().toString()))
                    .toList();
        } catch (IOException e) {
            throw new InputException("--out " + path + ": cannot be read (" + e.getMessage() + ")", e);
        }
    }

    private static String upTo(Path checkpoint) {
        return "checkpoints up to " + checkpoint.getFileName();
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

    /** Deletes an earlier run's checkpoints, which a later {@code --resume} would take for this one's, and says so. */
    public void deleteCheckpoints(Console console) {
        int deleted = 0;
        for (Optional<Path> next = newestCheckpoint(); next.isPresent(); next = newestCheckpoint()) {
            AtomicFiles.deleteTree(next.get());
            deleted++;
        }
        if (deleted > 0) {
            console.info("deleted " + Units.counted(deleted, "checkpoint") + " of an earlier run in " + path);
        }
    }

    /**
     * Deletes weights that an earlier run left under other names: some readers would take them for this one's.
     *
     * @param written names of the files that this run wrote
     */
    public void deleteOtherWeights(Set<String> written) {
        weightFiles(kind).stream()
                .filter(file -> !written.contains(file.getFileName().toString()))
                .forEach(OutputFolder::delete);
    }

    /** As above, where a model was written with the files of {@code original}. */
    public void deleteOtherWeights(Checkpoint original) {
        Set<String> written = new HashSet<>();
        original.files().forEach(file -> written.add(file.path().getFileName().toString()));
        if (original.files().size() > 1) {
            written.add(Checkpoint.INDEX_FILE);
        }
        deleteOtherWeights(written);
    }

    private static void delete(Path file) {
        try {
            Files.delete(file);
        } catch (IOException e) {
            throw new InputException("cannot delete " + file + ": " + e.getMessage() + "; choose another --out", e);
        }
    }
}
