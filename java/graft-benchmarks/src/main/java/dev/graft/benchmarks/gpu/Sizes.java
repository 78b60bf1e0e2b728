package dev.graft.benchmarks.gpu;

import dev.graft.engine.AttentionShape;
import dev.graft.engine.Sequences;
import java.util.Arrays;

/**
 * The sizes at which operations are measured.
 *
 * @param rows tokens of a step, M
 * @param sequences that they are divided into
 * @param logitRows rows of a chunk of logits
 * @param parameters of an adapter: rank 16 on all linear layers
 * @param copyFloats length of the buffer whose copy gives the memory bandwidth
 * @param peak M, N and K of the product that gives the peak rate
 */
record Sizes(
        int rows,
        int sequences,
        int hidden,
        int intermediate,
        int heads,
        int keyValueHeads,
        int headDim,
        int vocabulary,
        int logitRows,
        int parameters,
        int copyFloats,
        int peak) {

    static final Sizes LLAMA3_8B = new Sizes(8192, 2, 4096, 14336, 32, 8, 128, 128256, 1024, 41_943_040, 1 << 28, 8192);

    /** For the emulator, where a kernel takes a second for a million threads. */
    static final Sizes TINY = new Sizes(64, 2, 64, 96, 4, 2, 16, 160, 32, 10_000, 1 << 14, 64);

    int queryWidth() {
        return heads * headDim;
    }

    int keyValueWidth() {
        return keyValueHeads * headDim;
    }

    int sequenceLength() {
        return rows / sequences;
    }

    AttentionShape attention() {
        return new AttentionShape(heads, keyValueHeads, headDim, (float) (1 / Math.sqrt(headDim)), 0);
    }

    Sequences packed() {
        int[] lengths = new int[sequences];
        Arrays.fill(lengths, sequenceLength());
        return Sequences.packed(lengths);
    }
}
