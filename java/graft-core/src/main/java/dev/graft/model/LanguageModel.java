package dev.graft.model;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraPass;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A decoder on an engine, with or without adapters: what evaluation, generation and training run. */
public interface LanguageModel {
    Engine engine();

    Precision precision();

    Decoder decoder();

    /** The adapters that take part in a pass; none for the weights alone. */
    List<LoraAdapter> adapters();

    /** The bottleneck modules that its decoder contains; null for none. */
    default @Nullable BottleneckConfig bottlenecks() {
        return null;
    }

    /**
     * The adapters at work on a batch of {@code rows} tokens.
     *
     * @param training whether gradients are taken and dropout applies
     * @param microStep counts micro-batches over the run
     */
    LoraPass pass(DecoderBuffers buffers, int rows, boolean training, long seed, int microStep);
}
