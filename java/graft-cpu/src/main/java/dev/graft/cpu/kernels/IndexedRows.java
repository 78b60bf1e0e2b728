package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;

/**
 * Rows by index: an embedding and its gradient. Table [V, d], index I32 [1, M], y [M, d].
 *
 * <pre>
 *   forward    y[i] = table[index[i]]
 *   backward   table[index[i]] += y[i], in the order of i
 * </pre>
 */
public final class IndexedRows {
    private IndexedRows() {}

    public static void gather(Workbench bench, TensorView table, TensorView index, Tensor y) {
        int d = y.cols();
        bench.forRows(y.rows(), d, (from, to, worker) -> {
            for (int i = from; i < to; i++) {
                Rows.copy(table, Indices.get("gatherRows", index, i, table.rows()), 0, y, i, 0, d);
            }
        });
    }

    public static void scatterAdd(Workbench bench, TensorView y, TensorView index, Tensor table) {
        // an index may occur twice: a worker takes some columns of all rows, so that every sum is formed in order
        bench.forColumns(y.rows(), y.cols(), (from, to, worker) -> {
            int n = to - from;
            float[] sum = bench.scratch.floats(worker, 0, n);
            float[] term = bench.scratch.floats(worker, 1, n);
            for (int i = 0; i < y.rows(); i++) {
                int target = Indices.get("scatterAddRows", index, i, table.rows());
                Rows.load(table, target, from, n, sum, 0);
                Rows.load(y, i, from, n, term, 0);
                FloatRows.add(sum, term, n);
                Rows.store(sum, 0, table, target, from, n);
            }
        });
    }
}
