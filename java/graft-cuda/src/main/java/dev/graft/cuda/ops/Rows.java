package dev.graft.cuda.ops;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;

/** Sums of rows, and rows by index. */
public final class Rows {
    private final Gpu gpu;

    public Rows(Gpu gpu) {
        this.gpu = gpu;
    }

    public void add(TensorView a, TensorView b, Tensor y) {
        gpu.check(
                gpu.kernels()
                        .add(
                                gpu.stream(),
                                Gpu.code(y.dtype()),
                                gpu.at(a),
                                a.pitch(),
                                Gpu.code(b.dtype()),
                                gpu.at(b),
                                b.pitch(),
                                gpu.at(y),
                                y.pitch(),
                                y.rows(),
                                y.cols()),
                "add",
                "y",
                y);
    }

    public void gather(TensorView table, TensorView index, Tensor y) {
        gpu.check(
                gpu.kernels()
                        .gatherRows(
                                gpu.stream(),
                                Gpu.code(y.dtype()),
                                gpu.at(table),
                                table.pitch(),
                                gpu.at(index),
                                gpu.at(y),
                                y.pitch(),
                                y.rows(),
                                y.cols()),
                "gatherRows",
                "table",
                table,
                "y",
                y);
    }

    public void scatterAdd(TensorView y, TensorView index, Tensor table) {
        gpu.check(
                gpu.kernels()
                        .scatterAddRows(
                                gpu.stream(),
                                Gpu.code(y.dtype()),
                                gpu.at(y),
                                y.pitch(),
                                gpu.at(index),
                                Gpu.code(table.dtype()),
                                gpu.at(table),
                                table.pitch(),
                                y.rows(),
                                y.cols()),
                "scatterAddRows",
                "y",
                y,
                "table",
                table);
    }
}
