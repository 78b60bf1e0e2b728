package dev.graft.benchmarks.gpu;

import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.nn.Rope;
import dev.graft.nn.RopeScaling;
import java.util.Collections;
import java.util.List;

/** Llama in small: four query heads, two of keys and values. */
final class TinyDecoder {
    private static final int HEADS = 4;

    private TinyDecoder() {}

    /** One whose step the emulator does in some milliseconds. */
    static DecoderConfig smallest() {
        return config(1, 64, 96, 160);
    }

    static DecoderConfig config(int layers, int hidden, int intermediate, int vocabulary) {
        int headDim = hidden / HEADS;
        return new DecoderConfig(
                Architecture.LLAMA,
                vocabulary,
                hidden,
                intermediate,
                layers,
                HEADS,
                HEADS / 2,
                headDim,
                1e-5f,
                new Rope(10_000, headDim, new RopeScaling.None()),
                512,
                false,
                false,
                false,
                false,
                false,
                Collections.nCopies(layers, 0),
                List.of());
    }
}
