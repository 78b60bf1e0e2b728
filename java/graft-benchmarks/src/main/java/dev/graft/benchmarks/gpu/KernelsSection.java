package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.cuda.CudaEngine;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Projection;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Every operation but the adapters' against the time that its bytes or operations take at this GPU's own ceilings. */
final class KernelsSection implements Section {
    /**
     * What this GPU can do at best.
     *
     * @param copyGbS 10⁹ bytes a second, read and written, of a large copy
     * @param gemmTflops 10¹² operations a second of a large bf16 product
     */
    record Ceilings(Timing copy, double copyGbS, Timing gemm, double gemmTflops) {
        double floorMs(KernelCase kernel) {
            return Math.max(kernel.bytes() / copyGbS / 1e6, kernel.flops() / gemmTflops / 1e9);
        }
    }

    /**
     * An operation.
     *
     * @param gbS 10⁹ bytes a second, for those that bytes bind
     * @param tflops 10¹² operations a second, for those that operations bind
     * @param ofFloor the floor's time over the measured one: 1 is perfect, and the cache can make it more
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Kernel(
            String op,
            String shape,
            double ms,
            double minMs,
            double maxMs,
            int calls,
            @Nullable Double gbS,
            @Nullable Double tflops,
            double floorMs,
            double ofFloor) {
        static Kernel of(KernelCase kernel, Timing timing, Ceilings ceilings) {
            double floor = ceilings.floorMs(kernel);
            return new Kernel(
                    kernel.op(),
                    kernel.shape(),
                    timing.ms(),
                    timing.minMs(),
                    timing.maxMs(),
                    timing.calls(),
                    kernel.bytes() > 0 ? timing.giga(kernel.bytes()) : null,
                    kernel.flops() > 0 ? timing.tera(kernel.flops()) : null,
                    floor,
                    floor / timing.ms());
        }
    }

    /** All of them. */
    record Result(Ceilings ceilings, List<Kernel> kernels) {}

    @Override
    public String name() {
        return "kernels";
    }

    @Override
    public Result run(Verification verification) {
        try (CudaEngine engine = verification.target().open(0)) {
            Stopwatch stopwatch = verification.stopwatch();
            Ceilings ceilings = ceilings(engine, stopwatch, verification.sizes());
            List<Kernel> kernels = new ArrayList<>();
            for (var family : KernelCases.FAMILIES) {
                KernelCases buffers = family.apply(engine, verification.sizes());
                for (KernelCase kernel : buffers.cases()) {
                    kernels.add(Kernel.of(kernel, stopwatch.time(engine, kernel.call()), ceilings));
                }
                buffers.close();
            }
            return new Result(ceilings, kernels);
        }
    }

    private static Ceilings ceilings(Engine engine, Stopwatch stopwatch, Sizes sizes) {
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
