package dev.graft.engine;

/**
 * Causal grouped-query attention: query head h reads key/value head {@code h / (heads / keyValueHeads)}.
 *
 * @param heads query heads H
 * @param keyValueHeads key and value heads; divides H
 * @param headDim D, elements of a head
 * @param scale multiplies q·k; usually 1/√D
 * @param window a query sees at most this many keys, itself included; 0 for no limit
 */
public record AttentionShape(int heads, int keyValueHeads, int headDim, float scale, int window) {
    public AttentionShape {
        if (heads < 1 || keyValueHeads < 1 || heads % keyValueHeads != 0 || headDim < 1 || window < 0) {
            throw new IllegalArgumentException("bad attention shape: " + heads + " heads, " + keyValueHeads
                    + " key/value heads of " + headDim + ", window " + window);
        }
    }

    /** Query heads per key/value head. */
    public int groupSize() {
        return heads / keyValueHeads;
    }
}
