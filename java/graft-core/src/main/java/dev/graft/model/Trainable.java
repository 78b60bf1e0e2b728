package dev.graft.model;

import dev.graft.nn.FlatParameters;
import java.nio.file.Path;

/** A model of which something is trained: an adapter over frozen weights, or all weights. */
public interface Trainable extends LanguageModel {
    /** What is trained. */
    FlatParameters parameters();

    /** Writes what is trained to {@code folder}, in its own format. */
    void save(Path folder);
}
