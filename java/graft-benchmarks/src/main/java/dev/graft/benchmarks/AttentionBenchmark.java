package dev.graft.benchmarks;

import dev.graft.engine.AttentionShape;
import dev.graft.engine.Precision;
import dev.graft.engine.Sequences;
import dev.graft.model.DecoderConfig;
import dev.graft.model.KnownShape;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** Causal grouped-query attention over a packed batch, and of one new token per sequence. */
public class AttentionBenchmark extends EngineBenchmark {
    @Param({"smollm2-135m", "qwen2.5-0.5b"})
    public String model = "";

    /** How many x how long. */
    @Param({"4x256", "1x1024", "1x4096"})
    public String sequences = "";

    @Param({"F32", "BF16"})
    public Precision precision = Precision.F32;

    private @Nullable Operation forward;
    private @Nullable Operation backward;
    private @Nullable Operation decode;

    @Override
    void prepare(Operands on) {
        DecoderConfig config = KnownShape.of(model).config();
        AttentionShape shape = config.attention(0);
        int[] sizes =
                Arrays.stream(sequences.split("x")).mapToInt(Integer::parseInt).toArray();
        int count = sizes[0];
        int length = sizes[1];
        int rows = count * length;
        DType compute = on.compute(precision);
        Tensor q = on.matrix(compute, rows, config.queryWidth());
        Tensor k = on.matrix(compute, rows, config.keyValueWidth());
        Tensor v = on.matrix(compute, rows, config.keyValueWidth());
        Tensor o = on.matrix(compute, rows, config.queryWidth());
        Tensor logSumExp = on.matrix(DType.F32, rows, shape.heads());
        Tensor dO = on.matrix(compute, rows, config.queryWidth());
        Tensor dq = on.matrix(compute, rows, config.queryWidth());
        Tensor dk = on.matrix(compute, rows, config.keyValueWidth());
        Tensor dv = on.matrix(compute, rows, config.keyValueWidth());
        Sequences packed =
                Sequences.packed(IntStream.generate(() -> length).limit(count).toArray());
        forward = on.operation(engine -> engine.attentionForward(shape, packed, q, k, v, o, logSumExp));
        backward =
                on.operation(engine -> engine.attentionBackward(shape, packed, q, k, v, o, logSumExp, dO, dq, dk, dv));
        Sequences last = lastTokens(packed);
        Tensor lastQ = q.rows(0, count);
        Tensor lastO = on.matrix(compute, count, config.queryWidth());
        Tensor lastLogSumExp = on.matrix(DType.F32, count, shape.heads());
        decode = on.operation(engine -> engine.attentionForward(shape, last, lastQ, k, v, lastO, lastLogSumExp));
    }

    /** One query for each sequence, at its end. */
    private static Sequences lastTokens(Sequences packed) {
        int count = packed.count();
        int[] ones = new int[count];
        Arrays.fill(ones, 1);
        return new Sequences(IntStream.range(0, count).toArray(), ones, packed.keyStart(), packed.keyLength());
    }

    @Benchmark
    public void forward(Work work) {
        forward.run(work);
    }

    @Benchmark
    public void backward(Work work) {
        backward.run(work);
    }

    /** One token of each sequence against all keys, as in generation. */
    @Benchmark
    public void decode(Work work) {
        decode.run(work);
    }
}
