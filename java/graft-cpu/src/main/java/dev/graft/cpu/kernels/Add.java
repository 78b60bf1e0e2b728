package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;

/** {@code y = a + b}, [M, N], in float32 and rounded once; y may be a, or b where it has b's dtype. */
public final class Add {
    private Add() {}

    public static void run(Workbench bench, TensorView a, TensorView b, Tensor y) {
        bench.forChunks(y.rows(), y.cols(), (row, from, n, worker) -> {
            float[] sum = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] addend = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            Rows.load(a, row, from, n, sum, 0);
            Rows.load(b, row, from, n, addend, 0);
            FloatRows.add(sum, addend, n);
            Rows.store(sum, 0, y, row, from, n);
        });
    }
}
