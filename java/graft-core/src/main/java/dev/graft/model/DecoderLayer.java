package dev.graft.model;

import dev.graft.bottleneck.Bottleneck;
import dev.graft.engine.AttentionShape;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The weights of one decoder layer.
 *
 * @param queryNorm per-head norm of queries, or null where the architecture has none; keyNorm likewise
 * @param attentionBottleneck the adapter module after attention, or null; mlpBottleneck likewise
 */
record DecoderLayer(
        AttentionShape attention,
        Weight inputNorm,
        Linear query,
        Linear key,
        Linear value,
        Linear output,
        @Nullable Weight queryNorm,
        @Nullable Weight keyNorm,
        Weight postNorm,
        Linear gate,
        Linear up,
        Linear down,
        @Nullable Bottleneck attentionBottleneck,
        @Nullable Bottleneck mlpBottleneck) {

    /** The same layer with these modules. */
    DecoderLayer with(@Nullable Bottleneck afterAttention, @Nullable Bottleneck afterMlp) {
        return new DecoderLayer(
                attention,
                inputNorm,
                query,
                key,
                value,
                output,
                queryNorm,
                keyNorm,
                postNorm,
                gate,
                up,
                down,
                afterAttention,
                afterMlp);
    }


    /** The linear layers, in the order of the computation. */
    List<Linear> linears() {
        return List.of(query, key, value, output, gate, up, down);
    }
}
