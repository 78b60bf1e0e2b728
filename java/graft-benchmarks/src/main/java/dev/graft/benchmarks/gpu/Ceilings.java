package dev.graft.benchmarks.gpu;

import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Projection;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.List;

/**
 * What this GPU can do at best.
 *
 * @param copyGbS 10⁹ bytes a second, read and written, of a large copy
 * @param gemmTflops 10¹² operations a second of a large bf16 product
 */
record Ceilings(Timing copy, double copyGbS, Timing gemm, double gemmTflops) {
    /** Milliseconds under which nothing that moves so many bytes and does so many operations can come. */
    double floorMs(double bytes, double flops) {
        return Math.max(bytes / copyGbS / 1e6, flops / gemmTflops / 1e9);
    }

    static Ceilings measure(Engine engine, Stopwatch stopwatch, Sizes sizes) {
        Timing copy;
        try (Workspace workspace = new Workspace(engine)) {
            int rows = 1 << 7;
            int cols = sizes.copyFloats() / rows;
            Tensor source = new RandomMatrix(1, DType.F32, rows, cols, 1).upload(engine, workspace);
            Tensor destination = workspace.tensor(MemoryKind.WORKSPACE, "copy", DType.F32, rows, cols);
            copy = stopwatch.time(engine, i -> engine.convert(source, destination));
        }
        Timing gemm;
        int n = sizes.peak();
        try (Workspace workspace = new Workspace(engine)) {
            Tensor x = new RandomMatrix(2, DType.BF16, n, n, 1).upload(engine, workspace);
            TensorView weight = new RandomMatrix(3, DType.BF16, n, n, 1)
                    .upload(engine, workspace)
                    .asReadOnly();
            Tensor y = workspace.tensor(MemoryKind.WORKSPACE, "y", DType.BF16, n, n);
            List<Projection> projection = List.of(new Projection(weight, null, List.of(), y, null, null, null));
            gemm = stopwatch.time(engine, i -> engine.linearForward(x, projection));
        }
        return new Ceilings(copy, copy.giga(8.0 * sizes.copyFloats()), gemm, gemm.tera(2.0 * n * n * n));
    }
}
