package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.cuda.CudaEngine;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Every operation but the adapters' against the time that its bytes or operations take at this GPU's own ceilings. */
final class KernelsSection implements Section {
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
            double floor = ceilings.floorMs(kernel.bytes(), kernel.flops());
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
            Ceilings ceilings = Ceilings.measure(engine, stopwatch, verification.sizes());
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
}
