package dev.graft.cli.world;

import dev.graft.io.AtomicFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;

/**
 * The small base model that comes with Graft, pre-trained by Graft itself ({@code scripts/pretrain-base}) on a synthetic world: a
 * Hugging Face model folder like any other, packed into this jar.
 */
public final class EmbeddedBase {
    private static final List<String> FILES =
            List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json");

    private EmbeddedBase() {}

    /** Unpacks the model into {@code folder}. */
    public static void unpack(Path folder) {
        AtomicFiles.createDirectories(folder);
        for (String name : FILES) {
            try (InputStream in = EmbeddedBase.class.getResourceAsStream("/dev/graft/cli/base/" + name)) {
                if (in == null) {
                    throw new IllegalStateException("the embedded model lacks " + name);
                }
                AtomicFiles.write(folder.resolve(name), in::transferTo);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
