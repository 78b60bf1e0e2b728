package dev.graft.cli.run;

import dev.graft.bottleneck.BottleneckFile;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.AdapterBase;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.LanguageModel;
import dev.graft.model.PretrainedModel;
import java.nio.file.Path;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A base model opened for inference, with or without a saved adapter.
 *
 * @param model the base with its adapter; the base alone without one
 */
public record OpenModel(PretrainedModel base, LanguageModel model) implements AutoCloseable {
    /**
     * Opens both; what the adapter is, LoRA or bottleneck modules, its folder tells.
     *
     * @param force whether to go on where the adapter was trained on another base
     */
    public static OpenModel open(
            Path model, @Nullable Path adapter, Engine engine, Precision precision, boolean force) {
        Function<PretrainedModel, LanguageModel> attach = adapter == null ? base -> base : reader(adapter, force);
        PretrainedModel base = PretrainedModel.load(model, engine, precision);
        try {
            return new OpenModel(base, attach.apply(base));
        } catch (RuntimeException e) {
            base.close();
            throw e;
        }
    }

    /** Reads an adapter before the large files of its base are opened. */
    private static Function<PretrainedModel, LanguageModel> reader(Path folder, boolean force) {
        if (BottleneckFile.isAt(folder)) {
            BottleneckFile saved = BottleneckFile.read(folder);
            return base -> {
                requireBase(folder, saved.base(), base, force);
                return base.attach(saved, false);
            };
        }
        PeftAdapter saved = PeftAdapter.read(folder);
        return base -> {
            requireBase(folder, saved.base(), base, force);
            return base.attach(saved, false);
        };
    }

    /**
     * Checks that an adapter was trained on {@code base}; reads the whole checkpoint where the adapter can tell.
     *
     * @param adapter its folder
     * @param trainedOn what its files tell
     * @param force whether another base is let through
     */
    public static void requireBase(Path adapter, AdapterBase trainedOn, PretrainedModel base, boolean force) {
        if (!force && trainedOn.fingerprint() != null) {
            trainedOn.check(adapter, base.fingerprint(), base.folder().toString());
        }
    }

    @Override
    public void close() {
        base.close();
    }
}
