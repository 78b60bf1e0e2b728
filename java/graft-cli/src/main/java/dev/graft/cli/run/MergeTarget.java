package dev.graft.cli.run;

import dev.graft.common.InputException;
import dev.graft.io.Checkpoint;
import dev.graft.lora.PeftAdapter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The {@code --out} folder of a merge. */
public record MergeTarget(Path path) {
    /** @throws InputException where {@code path} is a file or the base's own folder */
    public static MergeTarget of(Path path, Path base) {
        // a merged model is refused the same folders as an adapter
        return new MergeTarget(OutputFolder.of(path, base).path());
    }

    /** @throws InputException where the folder holds an adapter, or a model and {@code force} was not given */
    public void requireFree(boolean force) {
        if (Files.exists(path.resolve(PeftAdapter.CONFIG_FILE))) {
            throw new InputException(
                    "--out " + path
                            + " holds an adapter, which readers would apply to the merged model once more; choose another folder");
        }
        if (!force && !weightFiles().isEmpty()) {
            throw new InputException("--out " + path + " already holds a model ("
                    + weightFiles().getFirst().getFileName()
                    + "); choose another folder, or give --force to overwrite it");
        }
    }

    /** Deletes weights of a model that was here before and had other shards: they would be read instead of the merged ones. */
    public void deleteOtherWeights(Checkpoint merged) {
        Set<String> written = new HashSet<>();
        merged.files().forEach(file -> written.add(file.path().getFileName().toString()));
        if (merged.files().size() > 1) {
            written.add(Checkpoint.INDEX_FILE);
        }
        for (Path file : weightFiles()) {
            if (!written.contains(file.getFileName().toString())) {
                try {
                    Files.delete(file);
                } catch (IOException e) {
                    throw new InputException(
                            file + " belongs to the model that was here before and cannot be deleted (" + e.getMessage()
                                    + "); delete it",
                            e);
                }
            }
        }
    }

    private List<Path> weightFiles() {
        if (!Files.isDirectory(path)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(path)) {
            return files.filter(file -> isWeights(file.getFileName().toString()))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + path, e);
        }
    }

    private static boolean isWeights(String name) {
        return name.equals(Checkpoint.INDEX_FILE) || (name.startsWith("model") && name.endsWith(".safetensors"));
    }
}
