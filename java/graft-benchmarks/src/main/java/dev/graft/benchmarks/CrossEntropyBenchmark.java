package dev.graft.benchmarks;

import dev.graft.engine.Precision;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** Softmax cross-entropy of a block of logits; training takes blocks of 64 MiB. */
public class CrossEntropyBenchmark extends EngineBenchmark {
    private static final int ROWS = 64;

    /** SmolLM2's and Qwen2.5's. */
    @Param({"49152", "151936"})
    public int vocabulary;

    /** The gradient's; logits are float32. */
    @Param({"F32", "BF16"})
    public Precision precision = Precision.F32;

    private @Nullable Operation loss;
    private @Nullable Operation lossAndGradient;

    @Override
    void prepare(Operands on) {
        Tensor logits = on.matrix(DType.F32, ROWS, vocabulary);
        Tensor gradient = on.matrix(on.compute(precision), ROWS, vocabulary);
        Tensor losses = on.matrix(DType.F32, 1, ROWS);
        Tensor targets =
                on.indices(IntStream.range(0, ROWS).map(row -> row * 97).toArray());
        loss = on.operation(engine -> engine.crossEntropy(logits, targets, 1, losses, null));
        lossAndGradient = on.operation(engine -> engine.crossEntropy(logits, targets, 1, losses, gradient));
    }

    @Benchmark
    public void loss(Work work) {
        loss.run(work);
    }

    @Benchmark
    public void lossAndGradient(Work work) {
        lossAndGradient.run(work);
    }
}
