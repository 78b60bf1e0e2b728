package dev.graft.model;

import dev.graft.nn.Weight;

/** Where a decoder's weights come from: a checkpoint (frozen), trainable buffers, or random numbers. */
@FunctionalInterface
public interface WeightSource {
    /** The weight of this name, in the compute dtype. */
    Weight weight(String name);

    /** The output head's weight: the embedding where the two are tied. */
    default Weight head(DecoderConfig config) {
        return weight(config.tiedEmbeddings() ? Decoder.EMBEDDING_WEIGHT : Decoder.HEAD_WEIGHT);
    }
}
