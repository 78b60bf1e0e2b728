package dev.graft.cpu.kernels;

import dev.graft.cpu.kernels.AttentionBlocks.Block;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Sequences;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * Sums up what all query blocks of a sequence contribute to dk and dv, in float32. Several workers may have blocks of one
 * (sequence, key/value head) at the same time; each waits for its turn before it adds, so that the order of the sums is always
 * the order of the tasks. A task waits only for tasks that were started before it, so somebody always gets on.
 */
final class KeyGradients {
    private static final int SUMS = 2; // number of the shared buffer
    private static final int ROW = 0; // number of the worker's array
    private static final int SPINS_PER_YIELD = 1000;

    private final Workbench bench;
    private final AttentionShape shape;
    private final Sequences sequences;
    private final AttentionBlocks blocks;
    private final Tensor dk;
    private final Tensor dv;
    private final Tensor sums; // for each key/value head dk, then dv: padded keys of all sequences
    private final int[] firstRow; // of each sequence
    private final int rows;
    private final AtomicIntegerArray turns; // blocks done, per sequence and key/value head
    private volatile boolean failed;

    /** Writes zeros to dk and dv of sequences that have no queries. */
    KeyGradients(
            Workbench bench, AttentionShape shape, Sequences sequences, AttentionBlocks blocks, Tensor dk, Tensor dv) {
        this.bench = bench;
        this.shape = shape;
        this.sequences = sequences;
        this.blocks = blocks;
        this.dk = dk;
        this.dv = dv;
        firstRow = new int[sequences.count()];
        int total = 0;
        for (int sequence = 0; sequence < sequences.count(); sequence++) {
            firstRow[sequence] = total;
            if (blocks.blocks(sequence) > 0) {
                total += blocks.paddedKeys(sequence);
            } else {
                int first = sequences.keyStart()[sequence];
                Rows.zero(dk, first, first + sequences.keyLength()[sequence]);
                Rows.zero(dv, first, first + sequences.keyLength()[sequence]);
            }
        }
        rows = total;
        int matrices = 2 * shape.keyValueHeads();
        sums = bench.scratch.sharedTensor(SUMS, DType.F32, Math.multiplyExact(matrices, total), shape.headDim());
        turns = new AtomicIntegerArray(sequences.count() * shape.keyValueHeads());
    }

    /** {@code dk += dSᵀ q}, {@code dv += Pᵀ dO} over the keys of {@code block}; after the last block both are stored. */
    void add(int worker, Block block, TensorView dS, TensorView q, TensorView p, TensorView dO) {
        int chain = block.sequence() * shape.keyValueHeads() + block.keyValueHead();
        int turn = blocks.blocks(block.sequence()) - 1 - block.index();
        await(chain, turn);
        Tensor dkSums = sums(block, 0);
        Tensor dvSums = sums(block, 1);
        if (turn == 0) {
            Rows.zero(dkSums, 0, dkSums.rows());
            Rows.zero(dvSums, 0, dvSums.rows());
        }
        int from = block.keyStart();
        int to = from + block.paddedKeys();
        bench.matMul.multiplyOn(worker, dS, true, q, false, 1, null, null, dkSums.rows(from, to));
        bench.matMul.multiplyOn(worker, p, true, dO, false, 1, null, null, dvSums.rows(from, to));
        turns.set(chain, turn + 1);
        if (block.index() == 0) {
            store(worker, block, dkSums, dk);
            store(worker, block, dvSums, dv);
        }
    }

    /** Lets the others stop waiting for a block that will never be done. */
    void giveUp() {
        failed = true;
    }

    private void await(int chain, int turn) {
        for (int spins = 1; turns.get(chain) != turn; spins++) {
            if (failed) {
                throw new IllegalStateException("another worker failed");
            }
            if (spins % SPINS_PER_YIELD == 0) {
                Thread.yield();
            } else {
                Thread.onSpinWait();
            }
        }
    }

    private Tensor sums(Block block, int which) {
        int first = (2 * block.keyValueHead() + which) * rows + firstRow[block.sequence()];
        return sums.rows(first, first + blocks.paddedKeys(block.sequence()));
    }

    private void store(int worker, Block block, TensorView from, Tensor to) {
        float[] row = bench.scratch.floats(worker, ROW, shape.headDim());
        int first = sequences.keyStart()[block.sequence()];
        int column = block.keyValueHead() * shape.headDim();
        for (int i = 0; i < sequences.keyLength()[block.sequence()]; i++) {
            Rows.load(from, i, row);
            Rows.store(row, 0, to, first + i, column, shape.headDim());
        }
    }
}
