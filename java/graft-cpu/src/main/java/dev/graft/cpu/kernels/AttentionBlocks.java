package dev.graft.cpu.kernels;

import dev.graft.engine.AttentionShape;
import dev.graft.engine.Sequences;

/**
 * How attention is cut into tasks: a task is one block of consecutive queries of one sequence, with all query heads of one
 * key/value head, against the keys that they see. The cut depends on the shapes only. Tasks of a (sequence, key/value head) come
 * last block first, and those with most blocks before them first: the longest work starts earliest.
 *
 * <p>Blocks are padded with zeros to few different sizes, because each size of a matrix product has code of its own.
 */
final class AttentionBlocks {
    private static final int ROW_STEP = 16;
    private static final int KEY_STEP = 64;

    final int count;
    private final AttentionShape shape;
    private final Sequences sequences;
    private final int blockRows;
    private final int[] sequenceOf;
    private final int[] blockOf;

    AttentionBlocks(AttentionShape shape, Sequences sequences) {
        this.shape = shape;
        this.sequences = sequences;
        blockRows = shape.groupSize() <= 4 ? 64 : shape.groupSize() <= 8 ? 32 : ROW_STEP;
        int total = 0;
        int most = 0;
        for (int sequence = 0; sequence < sequences.count(); sequence++) {
            total += blocks(sequence);
            most = Math.max(most, blocks(sequence));
        }
        sequenceOf = new int[total];
        blockOf = new int[total];
        int next = 0;
        for (int block = most - 1; block >= 0; block--) {
            for (int sequence = 0; sequence < sequences.count(); sequence++) {
                if (block < blocks(sequence)) {
                    sequenceOf[next] = sequence;
                    blockOf[next++] = block;
                }
            }
        }
        count = total * shape.keyValueHeads();
    }

    /** Blocks of a sequence, per key/value head. */
    int blocks(int sequence) {
        return Math.ceilDiv(sequences.queryLength()[sequence], blockRows);
    }

    /** Keys of a sequence, padded. */
    int paddedKeys(int sequence) {
        return roundUp(sequences.keyLength()[sequence], KEY_STEP);
    }

    private static int roundUp(int n, int step) {
        return Math.ceilDiv(n, step) * step;
    }

    /** What task {@code task} has to do. */
    Block block(int task) {
        int sequence = sequenceOf[task / shape.keyValueHeads()];
        int block = blockOf[task / shape.keyValueHeads()];
        int from = block * blockRows;
        int rows = Math.min(blockRows, sequences.queryLength()[sequence] - from);
        int position = sequences.keyLength()[sequence] - sequences.queryLength()[sequence] + from;
        int end = position + rows;
        int start = shape.window() == 0 ? 0 : Math.max(0, position - shape.window() + 1) / KEY_STEP * KEY_STEP;
        return new Block(
                sequence,
                block,
                task % shape.keyValueHeads(),
                sequences.queryStart()[sequence] + from,
                rows,
                roundUp(rows, ROW_STEP),
                start,
                sequences.keyStart()[sequence] + start,
                end - start,
                roundUp(end - start, KEY_STEP),
                position - start,
                shape.window());
    }

    /**
     * One task.
     *
     * @param index place of the block in its sequence
     * @param queryRow row of its first query in q
     * @param rows number of queries
     * @param paddedRows rows that it has in stacked matrices, per head
     * @param keyStart its first visible key, counted from the sequence's first key; a multiple of the padding
     * @param keyRow row of that key in k
     * @param keys number of visible keys
     * @param paddedKeys columns that it has in matrices of scores
     * @param position where the first query stands among the visible keys
     */
    record Block(
            int sequence,
            int index,
            int keyValueHead,
            int queryRow,
            int rows,
            int paddedRows,
            int keyStart,
            int keyRow,
            int keys,
            int paddedKeys,
            int position,
            int window) {
        /** First key that query {@code i} sees. */
        int from(int i) {
            return window == 0 ? 0 : Math.max(0, position + i + 1 - window);
        }

        /** One past the last key that query {@code i} sees: itself. */
        int to(int i) {
            return position + i + 1;
        }
    }
}
