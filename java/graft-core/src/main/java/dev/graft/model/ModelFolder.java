package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Checkpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The files of a Hugging Face model folder beside its weights: configuration, tokenizer, chat template, licence. */
final class ModelFolder {
    private ModelFolder() {}

    /** @throws InputException where {@code out} is the model's own folder, which is never written */
    static void requireOther(Path model, Path out) {
        boolean same;
        try {
            same = Files.isSameFile(model, out);
        } catch (IOException e) {
            same = false;
        }
        if (same) {
            throw new InputException(
                    "--out " + out + " is the base model's own folder, which is never written; choose another");
        }
    }

    /**
     * Copies all but the weights.
     *
     * @param withIndex whether the weights lie in the same shards there, so that their index holds too
     */
    static void copyAllButWeights(Path model, Path out, boolean withIndex) {
        try (Stream<Path> files = Files.list(model)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String name = file.getFileName().toString();
                boolean weights = name.endsWith(".safetensors") || name.endsWith(".bin");
                boolean index = name.equals(Checkpoint.INDEX_FILE);
                if (!weights && !name.startsWith(".") && (withIndex || !index)) {
                    AtomicFiles.write(out.resolve(name), stream -> Files.copy(file, stream));
                }
            }
        } catch (IOException e) {
            throw new InputException("cannot read " + model + ": " + e.getMessage(), e);
        }
    }
}
