package dev.graft.model;

import dev.graft.nn.FlatParameters;
import java.nio.file.Path;
import java.util.SortedMap;

/** A model of which something is trained: an adapter over frozen weights, or all weights. */
public interface Trainable extends LanguageModel {
    /** What is trained. */
    FlatParameters parameters();

    /**
     * What makes a run this one and no other, by name: a checkpoint is resumed only where all of it is the same. {@code method} is
     * what is typed after {@code --method}.
     */
    SortedMap<String, String> identity();

    /** Writes what is trained to {@code folder}, in its own format. */
    void save(Path folder);
}
