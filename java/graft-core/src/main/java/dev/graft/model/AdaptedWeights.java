package dev.graft.model;

import dev.graft.lora.LoraAdapter;
import dev.graft.lora.SavedWeight;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.Weight;
import org.jspecify.annotations.Nullable;

/**
 * A frozen model's weights, and in place of some those that an adapter trains whole, or what it left of them.
 *
 * @param residual frozen weights without what the adapter took over; null where it took nothing
 */
record AdaptedWeights(WeightSource base, @Nullable FrozenWeights residual, LoraAdapter adapter)
        implements WeightSource {
    @Override
    public Weight weight(String name) {
        SavedWeight saved = adapter.savedWeight(name);
        if (saved == null) {
            return residual != null && residual.has(name) ? residual.weight(name) : base.weight(name);
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
        boolean own = !config.tiedEmbeddings() || adapter.savedWeight(Decoder.HEAD_WEIGHT) != null;
        return own ? weight(Decoder.HEAD_WEIGHT) : base.head(config);
    }
}
