package dev.graft.benchmarks;

import dev.graft.engine.AdamW;
import dev.graft.engine.BufferLayout;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.KnownShape;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** The optimizer over the flat buffers of an adapter on all linear layers. */
public class AdamWBenchmark extends EngineBenchmark {
    private static final AdamW NUMBERS = new AdamW(1e-4, 0.9, 0.999, 1e-8, 0.01, 10, 1);

    @Param("smollm2-135m")
    public String model = "";

    @Param({"16", "64"})
    public int rank;

    private @Nullable Operation step;

    @Override
    void prepare(Operands on) {
        int count = parameterCount();
        Tensor values = on.matrix(DType.F32, 1, count);
        Tensor gradients = on.matrix(DType.F32, 1, count);
        Tensor moment1 = on.zeros(DType.F32, 1, count);
        Tensor moment2 = on.zeros(DType.F32, 1, count);
        Tensor sumOfSquares = on.zeros(DType.F32, 1, 1);
        step = on.operation(engine -> {
            engine.sumOfSquares(gradients, sumOfSquares);
            engine.adamW(NUMBERS, values, gradients, moment1, moment2, sumOfSquares);
        });
    }

    private int parameterCount() {
        LoraConfig lora = LoraConfig.builder().rank(rank).build();
        return Math.toIntExact(LoraAdapter.create(
                        lora,
                        TargetMatcher.match(
                                lora, Decoder.linearModules(KnownShape.of(model).config())),
                        new PlanningAllocator(BufferLayout.PLAIN),
                        Precision.F32,
                        false)
                .parameterCount());
    }

    /** Norm of the gradient, clipping and update. */
    @Benchmark
    public void step(Work work) {
        step.run(work);
    }
}
