package dev.graft.model;

import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraPass;
import dev.graft.nn.FlatParameters;
import java.nio.file.Path;
import java.util.List;

/** A model of which something is trained: an adapter over frozen weights, or all weights. */
public interface Trainable {
    Engine engine();

    Precision precision();

    Decoder decoder();

    /** What is trained. */
    FlatParameters parameters();

    /** The adapters that take part in a pass; none where the weights themselves are trained. */
    List<LoraAdapter> adapters();

    /**
     * The adapters at work on a batch of {@code rows} tokens.
     *
     * @param training whether gradients are taken and dropout applies
     * @param microStep counts micro-batches over the run
     */
    LoraPass pass(DecoderBuffers buffers, int rows, boolean training, long seed, int microStep);

    /** Writes what is trained to {@code folder}, in its own format. */
    void save(Path folder);
}
