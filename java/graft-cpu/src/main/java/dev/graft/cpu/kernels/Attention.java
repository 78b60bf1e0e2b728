package dev.graft.cpu.kernels;

import dev.graft.cpu.kernels.AttentionBlocks.Block;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Sequences;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Causal grouped-query attention over packed sequences; q, o [M, H · D], k, v [rows, Hkv · D], logSumExp F32 [M, H].
 *
 * <pre>
 *   forward    S = scale · q kᵀ + mask,  P = softmax(S),  o = P v,  logSumExp = ln Σ exp(S)
 *   backward   P = exp(S - logSumExp),  Δ = Σ dO · o,  dP = dO vᵀ,  dS = scale · P (dP - Δ),
 *              dq = dS k,  dk = dSᵀ q,  dv = Pᵀ dO
 * </pre>
 *
 * As in FlashAttention (Dao et al., 2022) the probabilities are not kept between forward and backward, and in bf16 P and dS are
 * rounded to bf16 for the products that follow. A block of queries of all heads that share a key/value head is stacked to
 * {@code R} rows, so that each of the formulas above is one matrix product.
 */
public final class Attention {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    // buffers of a worker
    private static final int Q = 0;
    private static final int K = 1;
    private static final int V = 2;
    private static final int SCORES = 3;
    private static final int PROBABILITIES = 4;
    private static final int RESULT = 5;
    private static final int DO = 6;
    private static final int DP = 7;
    private static final int DS = 8;
    // arrays of a worker
    private static final int ROW = 0;
    private static final int ROW2 = 1;
    private static final int STATISTICS = 2;
    private static final int OUTPUT = 3;

    private Attention() {}

    public static void forward(
            Workbench bench,
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            Tensor o,
            Tensor logSumExp) {
        AttentionBlocks blocks = new AttentionBlocks(shape, sequences);
        bench.forTasks(blocks.count, (task, worker) -> {
            Block block = blocks.block(task);
            if (sequences.queryLength()[block.sequence()] == 1) {
                SingleQueryAttention.forward(bench, worker, shape, block, q, k, v, o, logSumExp);
            } else {
                forward(bench, worker, shape, block, q, k, v, o, logSumExp);
            }
        });
    }

    private static void forward(
            Workbench bench,
            int worker,
            AttentionShape shape,
            Block block,
            TensorView q,
            TensorView k,
            TensorView v,
            Tensor o,
            Tensor logSumExp) {
        int R = shape.groupSize() * block.paddedRows();
        int N = block.paddedKeys();
        int D = shape.headDim();
        Scratch scratch = bench.scratch;
        Tensor qs = stack(bench, worker, Q, shape, block, q);
        Tensor ks = keys(bench, worker, K, shape, block, k);
        Tensor vs = keys(bench, worker, V, shape, block, v);
        Tensor scores = scratch.tensor(worker, SCORES, DType.F32, R, N);
        Tensor p = q.dtype() == DType.F32 ? scores : scratch.tensor(worker, PROBABILITIES, q.dtype(), R, N);
        Tensor result = scratch.tensor(worker, RESULT, DType.F32, R, D);
        float[] row = scratch.floats(worker, ROW, N);
        float[] sums = scratch.floats(worker, STATISTICS, R);

        bench.matMul.multiplyOn(worker, qs, false, ks, true, scores);
        for (int g = 0; g < shape.groupSize(); g++) {
            int head = block.keyValueHead() * shape.groupSize() + g;
            for (int i = 0; i < block.rows(); i++) {
                int r = g * block.paddedRows() + i;
                Rows.load(scores, r, row);
                float maximum = scale(row, block.from(i), block.to(i), shape.scale());
                sums[r] = exponentials(row, block.from(i), block.to(i), maximum);
                clear(row, block.from(i), block.to(i), N);
                Rows.store(row, p, r);
                Rows.setFloat(logSumExp, block.queryRow() + i, head, (float) (maximum + StrictMath.log(sums[r])));
            }
        }
        bench.matMul.multiplyOn(worker, p, false, vs, false, result);
        float[] output = scratch.floats(worker, OUTPUT, D);
        for (int g = 0; g < shape.groupSize(); g++) {
            int head = block.keyValueHead() * shape.groupSize() + g;
            for (int i = 0; i < block.rows(); i++) {
                int r = g * block.paddedRows() + i;
                Rows.load(result, r, output);
                FloatRows.multiply(output, 1 / sums[r], D);
                Rows.store(output, 0, o, block.queryRow() + i, head * D, D);
            }
        }
    }

    /** Multiplies the visible scores of a row by {@code scale} and returns the largest that is not NaN. */
    static float scale(float[] row, int from, int to, float scale) {
        int first = from & -Lanes.COUNT;
        int last = Lanes.roundUp(to);
        Arrays.fill(row, first, from, row[from]); // where vectors reach over the edge, a score that is visible
        Arrays.fill(row, to, last, row[from]);
        FloatVector most = FloatVector.broadcast(F, Float.NEGATIVE_INFINITY);
        for (int i = first; i < last; i += Lanes.COUNT) {
            FloatVector s = FloatVector.fromArray(F, row, i).mul(scale);
            s.intoArray(row, i);
            most = Lanes.larger(most, s);
        }
        return most.reduceLanes(VectorOperators.MAX);
    }

    /** Replaces visible scores s by exp(s - maximum) and returns their sum. */
    static float exponentials(float[] row, int from, int to, float maximum) {
        int first = from & -Lanes.COUNT;
        int last = Lanes.roundUp(to);
        Arrays.fill(row, first, from, Float.NEGATIVE_INFINITY);
        Arrays.fill(row, to, last, Float.NEGATIVE_INFINITY);
        FloatVector sum = FloatVector.zero(F);
        for (int i = first; i < last; i += Lanes.COUNT) {
            FloatVector e = Lanes.exp(FloatVector.fromArray(F, row, i).sub(maximum));
            e.intoArray(row, i);
            sum = sum.add(e);
        }
        return Lanes.sum(sum);
    }

    public static void backward(
            Workbench bench,
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            TensorView o,
            TensorView logSumExp,
            TensorView dO,
            Tensor dq,
            Tensor dk,
            Tensor dv) {
        AttentionBlocks blocks = new AttentionBlocks(shape, sequences);
        KeyGradients keyGradients = new KeyGradients(bench, shape, sequences, blocks, dk, dv);
        bench.forTasks(blocks.count, (task, worker) -> {
            Block block = blocks.block(task);
            try {
                backward(bench, worker, shape, block, q, k, v, o, logSumExp, dO, dq, keyGradients);
            } catch (RuntimeException | Error failure) {
                keyGradients.giveUp();
                throw failure;
            }
        });
    }

    private static void backward(
            Workbench bench,
            int worker,
            AttentionShape shape,
            Block block,
            TensorView q,
            TensorView k,
            TensorView v,
            TensorView o,
            TensorView logSumExp,
            TensorView dO,
            Tensor dq,
            KeyGradients keyGradients) {
        int R = shape.groupSize() * block.paddedRows();
        int N = block.paddedKeys();
        int D = shape.headDim();
        Scratch scratch = bench.scratch;
        boolean f32 = q.dtype() == DType.F32;
        Tensor qs = stack(bench, worker, Q, shape, block, q);
        Tensor dOs = stack(bench, worker, DO, shape, block, dO);
        Tensor ks = keys(bench, worker, K, shape, block, k);
        Tensor vs = keys(bench, worker, V, shape, block, v);
        Tensor scores = scratch.tensor(worker, SCORES, DType.F32, R, N);
        Tensor dP = scratch.tensor(worker, DP, DType.F32, R, N);
        Tensor p = f32 ? scores : scratch.tensor(worker, PROBABILITIES, q.dtype(), R, N);
        Tensor dS = f32 ? dP : scratch.tensor(worker, DS, q.dtype(), R, N);
        Tensor result = scratch.tensor(worker, RESULT, DType.F32, R, D);

        bench.matMul.multiplyOn(worker, qs, false, ks, true, scores);
        bench.matMul.multiplyOn(worker, dOs, false, vs, true, dP);
        float[] pRow = scratch.floats(worker, ROW, N);
        float[] dRow = scratch.floats(worker, ROW2, N);
        for (int g = 0; g < shape.groupSize(); g++) {
            int head = block.keyValueHead() * shape.groupSize() + g;
            for (int i = 0; i < block.rows(); i++) {
                int r = g * block.paddedRows() + i;
                int m = block.queryRow() + i;
                Rows.load(scores, r, pRow);
                Rows.load(dP, r, dRow);
                float delta = delta(scratch, worker, dO, o, m, head * D, D);
                float lse = Rows.getFloat(logSumExp, m, head);
                scoreGradients(pRow, dRow, block.from(i), block.to(i), N, shape.scale(), lse, delta);
                Rows.store(pRow, p, r);
                Rows.store(dRow, dS, r);
            }
            Rows.zero(p, g * block.paddedRows() + block.rows(), (g + 1) * block.paddedRows());
            Rows.zero(dS, g * block.paddedRows() + block.rows(), (g + 1) * block.paddedRows());
        }
        bench.matMul.multiplyOn(worker, dS, false, ks, false, result);
        for (int g = 0; g < shape.groupSize(); g++) {
            int column = (block.keyValueHead() * shape.groupSize() + g) * D;
            for (int i = 0; i < block.rows(); i++) {
                Rows.load(result, g * block.paddedRows() + i, pRow);
                Rows.store(pRow, 0, dq, block.queryRow() + i, column, D);
            }
        }
        keyGradients.add(worker, block, dS, qs, p, dOs);
    }

    /** Δ = Σ dO · o of one query and head. */
    private static float delta(Scratch scratch, int worker, TensorView dO, TensorView o, int m, int column, int D) {
        float[] a = scratch.floats(worker, STATISTICS, D);
        float[] b = scratch.floats(worker, OUTPUT, D);
        Rows.load(dO, m, column, D, a, 0);
        Rows.load(o, m, column, D, b, 0);
        FloatRows.clearPadding(a, D);
        FloatRows.clearPadding(b, D);
        return FloatRows.dot(a, 0, b, D);
    }

    /** Scores s become P = exp(scale · s - lse), dP becomes dS = scale · P (dP - Δ); both 0 where a key is not visible. */
    private static void scoreGradients(
            float[] s, float[] dP, int from, int to, int padded, float scale, float lse, float delta) {
        int first = from & -Lanes.COUNT;
        int last = Lanes.roundUp(to);
        for (int i = first; i < last; i += Lanes.COUNT) {
            FloatVector p = Lanes.exp(FloatVector.fromArray(F, s, i).mul(scale).sub(lse));
            p.intoArray(s, i);
            FloatVector.fromArray(F, dP, i).sub(delta).mul(p).mul(scale).intoArray(dP, i);
        }
        clear(s, from, to, padded);
        clear(dP, from, to, padded);
    }

    /** 0 for all keys that are not visible. */
    private static void clear(float[] row, int from, int to, int padded) {
        Arrays.fill(row, 0, from, 0);
        Arrays.fill(row, to, padded, 0);
    }

    /** A block's queries of all heads of the group, one head under the other, padded with zeros. */
    private static Tensor stack(
            Workbench bench, int worker, int slot, AttentionShape shape, Block block, TensorView x) {
        int D = shape.headDim();
        int padded = block.paddedRows();
        Tensor stacked = bench.scratch.tensor(worker, slot, x.dtype(), shape.groupSize() * padded, D);
        for (int g = 0; g < shape.groupSize(); g++) {
            int head = block.keyValueHead() * shape.groupSize() + g;
            int first = g * padded;
            Rows.copyBlock(x, block.queryRow(), head * D, stacked, first, block.rows());
            Rows.zero(stacked, first + block.rows(), first + padded);
        }
        return stacked;
    }

    /** The keys or values that a block sees, padded with zeros. */
    private static Tensor keys(Workbench bench, int worker, int slot, AttentionShape shape, Block block, TensorView x) {
        Tensor packed = bench.scratch.tensor(worker, slot, x.dtype(), block.paddedKeys(), shape.headDim());
        Rows.copyBlock(x, block.keyRow(), block.keyValueHead() * shape.headDim(), packed, 0, block.keys());
        Rows.zero(packed, block.keys(), block.paddedKeys());
        return packed;
    }
}
