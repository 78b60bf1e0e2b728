package dev.graft.model;

import dev.graft.lora.LoraAdapter;
import dev.graft.lora.SavedWeight;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.Weight;

/** A frozen model's weights, and in place of some those that an adapter trains whole. */
record AdaptedWeights(WeightSource base, LoraAdapter adapter) implements WeightSource {
    @Override
    public Weight weight(String name) {
        SavedWeight saved = adapter.savedWeight(name);
        if (saved == null) {
            return base.weight(name);
        }
        FlatParameters parameters = adapter.parameters();
        return new Weight(
                name,
                parameters.compute(saved.slot()),
                parameters.hasGradients() ? parameters.gradient(saved.slot()) : null);
    }

    /** A head that the base ties to its embedding stays the frozen one where only the embedding is trained. */
    @Override
    public Weight head(DecoderConfig config) {
        return adapter.savedWeight(Decoder.HEAD_WEIGHT) == null ? base.head(config) : weight(Decoder.HEAD_WEIGHT);
    }
}
