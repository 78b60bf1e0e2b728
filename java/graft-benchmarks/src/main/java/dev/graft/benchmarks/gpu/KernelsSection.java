package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.benchmarks.gpu.KernelCases.Family;
import dev.graft.cuda.CudaEngine;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Every operation but the adapters' against the time that its bytes or operations take at this GPU's own ceilings. */
final class KernelsSection implements Section {
    /** What is added to the names of operations on Hopper's own tensor core instructions. */
    static final String WGMMA = "_wgmma";

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
        static Kernel of(KernelCase kernel, String way, Timing timing, Ceilings ceilings) {
            double floor = ceilings.floorMs(kernel.bytes(), kernel.flops());
            return new Kernel(
                    kernel.op() + way,
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
    public boolean opensEngines() {
        return true;
    }

    @Override
    public Result run(Verification verification) {
        Ceilings ceilings;
        List<Kernel> kernels = new ArrayList<>();
        boolean hopper;
        try (CudaEngine engine = verification.target().open(Variant.PLAIN)) {
            hopper = engine.isHopper();
            ceilings = Ceilings.measure(engine, verification.stopwatch(), verification.sizes());
            for (Family family : KernelCases.FAMILIES) {
                measure(verification, engine, family, "", ceilings, kernels);
            }
        }
        Result result = new Result(ceilings, kernels);
        if (hopper) {
            verification.soFar().accept(result);
            try (CudaEngine engine = verification.target().open(Variant.PLAIN.withWgmma())) {
                measure(verification, engine, KernelCases::attention, WGMMA, ceilings, kernels);
            }
        }
        return result;
    }

    private static void measure(
            Verification verification,
            CudaEngine engine,
            Family family,
            String way,
            Ceilings ceilings,
            List<Kernel> kernels) {
        Stopwatch stopwatch = verification.stopwatch();
        KernelCases buffers = new KernelCases(engine, verification.sizes(), family);
        for (KernelCase kernel : buffers.cases()) {
            kernels.add(Kernel.of(kernel, way, stopwatch.time(engine, kernel.call()), ceilings));
        }
        buffers.close();
    }
}
