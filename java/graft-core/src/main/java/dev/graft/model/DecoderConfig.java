package dev.graft.model;

import dev.graft.engine.AttentionShape;
import dev.graft.nn.Rope;
import java.util.List;

/**
 * The shape of a decoder: embedding, then layers of (RMSNorm, attention, +, RMSNorm, SwiGLU, +), RMSNorm, output head.
 *
 * @param vocabSize V
 * @param hiddenSize d
 * @param intermediateSize width of the SwiGLU
 * @param layers number of decoder layers
 * @param heads query heads
 * @param keyValueHeads key and value heads
 * @param headDim elements of a head; heads · headDim need not be d
 * @param rmsNormEpsilon ε
 * @param rope rotary positions
 * @param maxPositions the longest sequence the model was made for
 * @param tiedEmbeddings whether the output head is the embedding
 * @param qkvBias whether q, k and v projections have a bias
 * @param outputBias whether the o projection has one
 * @param mlpBias whether gate, up and down have one
 * @param queryKeyNorm whether queries and keys are normalised per head (Qwen3)
 * @param windows keys that a query sees, by layer; 0 for all before it
 * @param endTokens ids that end a text; may be empty
 */
public record DecoderConfig(
        Architecture architecture,
        int vocabSize,
        int hiddenSize,
        int intermediateSize,
        int layers,
        int heads,
        int keyValueHeads,
        int headDim,
        float rmsNormEpsilon,
        Rope rope,
        int maxPositions,
        boolean tiedEmbeddings,
        boolean qkvBias,
        boolean outputBias,
        boolean mlpBias,
        boolean queryKeyNorm,
        List<Integer> windows,
        List<Integer> endTokens) {

    public DecoderConfig {
        windows = List.copyOf(windows);
        endTokens = List.copyOf(endTokens);
        if (windows.size() != layers) {
            throw new IllegalArgumentException(windows.size() + " windows for " + layers + " layers");
        }
    }

    /** Width of all query heads together. */
    public int queryWidth() {
        return heads * headDim;
    }

    /** Width of all key (or value) heads together. */
    public int keyValueWidth() {
        return keyValueHeads * headDim;
    }

    /** What attention computes in layer {@code layer}. */
    public AttentionShape attention(int layer) {
        return new AttentionShape(heads, keyValueHeads, headDim, (float) (1 / Math.sqrt(headDim)), windows.get(layer));
    }
}
