package dev.graft.benchmarks;

import dev.graft.engine.LoraTerm;
import dev.graft.engine.Precision;
import dev.graft.engine.Projection;
import dev.graft.lora.LoraDelta;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** A LoRA linear layer against the frozen layer alone, which is its floor and what a merged adapter should cost. */
public class LoraLinearBenchmark extends EngineBenchmark {
    private static final String FROZEN = "frozen";
    private static final String MERGED = "merged";
    private static final String LORA = "lora-";
    private static final int MERGED_RANK = 16;
    private static final float SCALE = 2;

    /** In x out; the default is SmolLM2-135M's gate projection, W0 [1536, 576]. */
    @Param("576x1536")
    public String size = "";

    /** Rows of x, M. */
    @Param({"1", "128", "1024"})
    public int rows;

    /** W0 alone, with an adapter of that rank, or W0 + s B A. */
    @Param({FROZEN, LORA + "4", LORA + "16", LORA + "64", MERGED})
    public String layer = "";

    @Param({"F32", "BF16"})
    public Precision precision = Precision.F32;

    private @Nullable Operation forward;
    private @Nullable Operation backward;

    @Override
    void prepare(Operands on) {
        int[] sizes = Arrays.stream(size.split("x")).mapToInt(Integer::parseInt).toArray();
        int in = sizes[0];
        int out = sizes[1];
        DType compute = on.compute(precision);
        Tensor x = on.activation(compute, rows, in);
        Tensor dx = on.activation(compute, rows, in);
        Tensor y = on.activation(compute, rows, out);
        Tensor dy = on.activation(compute, rows, out);
        float[] values = on.values(out * in);
        if (layer.equals(MERGED)) {
            merge(on, values, out, in);
        }
        TensorView weight = on.freeze(values, compute, out, in);
        int rank = rank();
        List<LoraTerm> lora = rank == 0 ? List.of() : List.of(term(on, compute, out, in, rank));
        List<Projection> projection = List.of(new Projection(weight, null, lora, y, null, null, null));
        List<Projection> gradient = List.of(new Projection(weight, null, lora, dy, null, null, null));
        forward = on.operation(engine -> engine.linearForward(x, projection));
        backward = on.operation(engine -> engine.linearBackward(x, gradient, dx));
    }

    /** 0 without an adapter. */
    private int rank() {
        if (layer.startsWith(LORA)) {
            return Integer.parseInt(layer.substring(LORA.length()));
        }
        if (layer.equals(FROZEN) || layer.equals(MERGED)) {
            return 0;
        }
        throw new IllegalArgumentException("no layer " + layer);
    }

    private static void merge(Operands on, float[] weight, int out, int in) {
        float[] a = on.values(MERGED_RANK * in);
        float[] b = on.values(out * MERGED_RANK);
        for (int row = 0; row < out; row++) {
            float[] merged = Arrays.copyOfRange(weight, row * in, (row + 1) * in);
            LoraDelta.addRow(merged, row, a, b, SCALE);
            System.arraycopy(merged, 0, weight, row * in, in);
        }
    }

    private LoraTerm term(Operands on, DType compute, int out, int in, int rank) {
        return new LoraTerm(
                0,
                rows,
                on.matrix(compute, rank, in),
                on.matrix(compute, out, rank),
                SCALE,
                on.matrix(compute, rows, rank),
                null,
                null,
                new LoraTerm.Gradients(
                        on.matrix(DType.F32, rank, in),
                        on.matrix(DType.F32, out, rank),
                        on.matrix(compute, rows, rank)));
    }

    /** {@code y = x W0ᵀ + s (x Aᵀ) Bᵀ}. */
    @Benchmark
    public void forward(Work work) {
        forward.run(work);
    }

    /** dx, dA and dB. */
    @Benchmark
    public void backward(Work work) {
        backward.run(work);
    }
}
