package dev.graft.cpu.kernels;

import dev.graft.cpu.kernels.AttentionBlocks.Block;
import dev.graft.engine.AttentionShape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;

/**
 * Attention of one query, as when text is generated: all query heads of one key/value head, each key and value read once. Memory
 * bound, so that a matrix product would gain nothing.
 */
final class SingleQueryAttention {
    // arrays of a worker
    private static final int QUERIES = 0;
    private static final int KEY = 1;
    private static final int SCORES = 2;
    private static final int OUTPUT = 3;

    private SingleQueryAttention() {}

    static void forward(
            Workbench bench,
            int worker,
            AttentionShape shape,
            Block block,
            TensorView q,
            TensorView k,
            TensorView v,
            Tensor o,
            Tensor logSumExp) {
        int G = shape.groupSize();
        int D = shape.headDim();
        int width = Lanes.roundUp(D); // heads in arrays are padded to whole vectors
        int from = block.from(0);
        int n = block.to(0) - from;
        int N = Lanes.roundUp(n);
        int firstHead = block.keyValueHead() * G;
        int keyColumn = block.keyValueHead() * D;
        float[] queries = zeros(bench, worker, QUERIES, G * width);
        float[] key = zeros(bench, worker, KEY, width);
        float[] scores = bench.scratch.floats(worker, SCORES, G * N);
        float[] output = zeros(bench, worker, OUTPUT, G * width);
        for (int g = 0; g < G; g++) {
            Rows.load(q, block.queryRow(), (firstHead + g) * D, D, queries, g * width);
        }
        for (int j = 0; j < n; j++) {
            Rows.load(k, block.keyRow() + from + j, keyColumn, D, key, 0);
            for (int g = 0; g < G; g++) {
                scores[g * N + j] = FloatRows.dot(queries, g * width, key, width);
            }
        }
        for (int g = 0; g < G; g++) {
            float maximum = Attention.scale(scores, g * N, g * N + n, shape.scale());
            float sum = Attention.exponentials(scores, g * N, g * N + n, maximum);
            float lse = (float) (maximum + StrictMath.log(sum));
            Rows.setFloat(logSumExp, block.queryRow(), firstHead + g, lse);
            for (int j = 0; j < n; j++) {
                scores[g * N + j] /= sum;
            }
        }
        for (int j = 0; j < n; j++) {
            Rows.load(v, block.keyRow() + from + j, keyColumn, D, key, 0);
            for (int g = 0; g < G; g++) {
                FloatRows.addScaled(output, g * width, scores[g * N + j], key, width);
            }
        }
        for (int g = 0; g < G; g++) {
            Rows.store(output, g * width, o, block.queryRow(), (firstHead + g) * D, D);
        }
    }

    private static float[] zeros(Workbench bench, int worker, int slot, int n) {
        float[] values = bench.scratch.floats(worker, slot, n);
        Arrays.fill(values, 0, n, 0);
        return values;
    }
}
