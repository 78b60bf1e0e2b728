package dev.graft.benchmarks;

import dev.graft.engine.Precision;
import dev.graft.engine.Projection;
import dev.graft.lora.LinearModule;
import dev.graft.model.Decoder;
import dev.graft.model.KnownShape;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** The frozen linear layers of a decoder, those that share their input together, as a training step gives them to the engine. */
public class DecoderLinearBenchmark extends EngineBenchmark {
    /** As typed after {@code graft bench train --shape}. */
    @Param({"smollm2-135m", "qwen2.5-0.5b"})
    public String model = "";

    /** {@code head} too, which takes a gigabyte or two of memory. */
    @Param({"qkv", "o", "gate_up", "down"})
    public String projection = "";

    /** Tokens, M: 1 is generation. */
    @Param({"1", "1024"})
    public int rows;

    @Param({"F32", "BF16"})
    public Precision precision = Precision.F32;

    private @Nullable Operation forward;
    private @Nullable Operation backward;

    @Override
    void prepare(Operands on) {
        DType compute = on.compute(precision);
        List<LinearModule> modules = modules(model, projection);
        int in = modules.getFirst().in();
        Tensor x = on.activation(compute, rows, in);
        Tensor dx = on.activation(compute, rows, in);
        List<Projection> projections = new ArrayList<>();
        List<Projection> gradients = new ArrayList<>();
        for (LinearModule module : modules) {
            int out = module.out();
            TensorView weight = on.freeze(on.values(out * in), compute, out, in);
            Tensor y = on.activation(module.isHead() ? DType.F32 : compute, rows, out);
            Tensor dy = on.activation(compute, rows, out);
            projections.add(new Projection(weight, null, List.of(), y, null, null, null));
            gradients.add(new Projection(weight, null, List.of(), dy, null, null, null));
        }
        forward = on.operation(engine -> engine.linearForward(x, projections));
        backward = on.operation(engine -> engine.linearBackward(x, gradients, dx));
    }

    /** The modules of the first decoder layer, or the head, that {@code projection} stands for. */
    private static List<LinearModule> modules(String model, String projection) {
        List<String> names = switch (projection) {
            case "qkv" -> List.of("q_proj", "k_proj", "v_proj");
            case "o" -> List.of("o_proj");
            case "gate_up" -> List.of("gate_proj", "up_proj");
            case "down" -> List.of("down_proj");
            case "head" -> List.of("lm_head");
            default -> throw new IllegalArgumentException("no projection " + projection);
        };
        return Decoder.linearModules(KnownShape.of(model).config()).stream()
                .filter(module -> module.isHead() || module.name().startsWith("model.layers.0."))
                .filter(module -> names.stream().anyMatch(module.name()::endsWith))
                .toList();
    }

    /** {@code y = x W0ᵀ} for each. */
    @Benchmark
    public void forward(Work work) {
        forward.run(work);
    }

    /** {@code dx = Σ dy W0}: a frozen layer has no other gradient. */
    @Benchmark
    public void backward(Work work) {
        backward.run(work);
    }
}
