package dev.graft.benchmarks.gpu;

import dev.graft.model.DecoderConfig;
import dev.graft.model.KnownShape;
import java.util.Collections;

/** Llama 3.1 8B with a few of its layers: its operations at their sizes, loaded in seconds. */
final class LlamaSlice {
    private static final int LAYERS = 4;

    static final String NAME = KnownShape.LLAMA3_1_8B.label() + ", " + LAYERS + " layers";

    private LlamaSlice() {}

    static DecoderConfig config() {
        DecoderConfig whole = KnownShape.LLAMA3_1_8B.config();
        return new DecoderConfig(
                whole.architecture(),
                whole.vocabSize(),
                whole.hiddenSize(),
                whole.intermediateSize(),
                LAYERS,
                whole.heads(),
                whole.keyValueHeads(),
                whole.headDim(),
                whole.rmsNormEpsilon(),
                whole.rope(),
                whole.maxPositions(),
                whole.tiedEmbeddings(),
                whole.qkvBias(),
                whole.outputBias(),
                whole.mlpBias(),
                whole.queryKeyNorm(),
                Collections.nCopies(LAYERS, 0),
                whole.endTokens());
    }
}
