package dev.graft.model;

import dev.graft.nn.Weight;

/** Where a decoder's weights come from: a checkpoint (frozen), trainable buffers, or random numbers. */
@FunctionalInterface
public interface WeightSource {
    /** The weight of this name, in the compute dtype. */
    Weight weight(String name);
}
