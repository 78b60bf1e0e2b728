package dev.graft.cli.run;

import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.LanguageModel;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A base model opened for inference, with or without a saved adapter.
 *
 * @param adapted the base with its adapter; null without one
 */
public record OpenModel(PretrainedModel base, @Nullable LoraModel adapted) implements AutoCloseable {
    /**
     * Opens both.
     *
     * @param force whether to go on where the adapter was trained on another base
     */
    public static OpenModel open(
            Path model, @Nullable Path adapter, Engine engine, Precision precision, boolean force) {
        PeftAdapter saved = adapter == null ? null : PeftAdapter.read(adapter);
        PretrainedModel base = PretrainedModel.load(model, engine, precision);
        try {
            if (saved == null) {
                return new OpenModel(base, null);
            }
            requireBase(saved, base, force);
            return new OpenModel(base, base.attach(saved, false));
        } catch (RuntimeException e) {
            base.close();
            throw e;
        }
    }

    /** Checks that {@code adapter} was trained on {@code base}; reads the whole checkpoint where the adapter can tell. */
    public static void requireBase(PeftAdapter adapter, PretrainedModel base, boolean force) {
        if (!force && adapter.baseFingerprint() != null) {
            adapter.checkBase(base.fingerprint(), base.folder().toString());
        }
    }

    /** The adapted model, or the base where there is no adapter. */
    public LanguageModel model() {
        return adapted == null ? base : adapted;
    }

    @Override
    public void close() {
        base.close();
    }
}
