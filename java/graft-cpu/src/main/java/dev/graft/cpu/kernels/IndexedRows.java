package dev.graft.cpu.kernels;

import dev.graft.tensor.DType;
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
        check("gatherRows", table, index, y);
        Checks.dtypes(table.dtype().isFloat() && Checks.isCompute(y.dtype()), "gatherRows", "table", table, "y", y);
        int d = y.cols();
        boolean copy = table.dtype() == y.dtype();
        bench.forRows(y.rows(), d, (from, to, worker) -> {
            float[] row = bench.scratch.floats(worker, 0, copy ? 1 : d);
            for (int i = from; i < to; i++) {
                int source = Checks.index("gatherRows", index, i, table.rows());
                if (copy) {
                    Rows.copy(table, source, 0, y, i, 0, d);
                } else {
                    Rows.load(table, source, row);
                    Rows.store(row, y, i);
                }
            }
        });
    }

    public static void scatterAdd(Workbench bench, TensorView y, TensorView index, Tensor table) {
        check("scatterAddRows", table, index, y);
        Checks.dtypes(
                Checks.isCompute(table.dtype()) && Checks.isCompute(y.dtype()),
                "scatterAddRows",
                "table",
                table,
                "y",
                y);
        // an index may occur twice: a worker takes some columns of all rows, so that every sum is formed in order
        bench.forColumns(y.rows(), y.cols(), (from, to, worker) -> {
            int n = to - from;
            float[] sum = bench.scratch.floats(worker, 0, n);
            float[] term = bench.scratch.floats(worker, 1, n);
            for (int i = 0; i < y.rows(); i++) {
                int target = Checks.index("scatterAddRows", index, i, table.rows());
                Rows.load(table, target, from, n, sum, 0);
                Rows.load(y, i, from, n, term, 0);
                FloatRows.add(sum, term, n);
                Rows.store(sum, 0, table, target, from, n);
            }
        });
    }

    private static void check(String operation, TensorView table, TensorView index, TensorView y) {
        Checks.shapes(
                table.cols() == y.cols() && Checks.isShape(index, 1, y.rows()),
                operation,
                "table",
                table,
                "index",
                index,
                "y",
                y);
        Checks.dtypes(index.dtype() == DType.I32, operation, "index", index);
    }
}
