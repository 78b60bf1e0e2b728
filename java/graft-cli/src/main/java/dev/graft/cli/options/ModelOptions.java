package dev.graft.cli.options;

import dev.graft.engine.Precision;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The model of a command that only uses it, with or without an adapter. */
public final class ModelOptions {
    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description = "The base model, a Hugging Face folder.")
    private Path model = Path.of("");

    @Option(names = "--adapter", paramLabel = "DIR", description = "An adapter on it: LoRA or bottleneck modules.")
    private @Nullable Path adapter;

    @Mixin
    private final PrecisionOption precision = new PrecisionOption();

    @Option(names = "--force", description = "Go on with an adapter that was trained on another base.")
    private boolean force;

    /** The base model's folder. */
    public Path model() {
        return model;
    }

    /** The adapter's folder; null for the base alone. */
    public @Nullable Path adapter() {
        return adapter;
    }

    public Precision precision() {
        return precision.value();
    }

    /** Whether an adapter of another base is let through. */
    public boolean isForced() {
        return force;
    }
}
