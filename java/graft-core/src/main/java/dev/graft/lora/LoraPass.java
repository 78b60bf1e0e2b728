package dev.graft.lora;

import dev.graft.engine.Dropout;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The adapters at work in one pass over the model: which rows belong to which, and where their activations are kept.
 *
 * @param ranges row ranges by adapter; rows of none see the frozen layers alone
 * @param training whether gradients of A and B are wanted, and dropout applies
 * @param seed of dropout
 * @param microStep counts micro-batches over the run, so that each has a dropout mask of its own
 */
public record LoraPass(
        List<AdapterRange> ranges, @Nullable LoraBuffers buffers, boolean training, long seed, int microStep) {

    /** The base model alone. */
    public static LoraPass none() {
        return new LoraPass(List.of(), null, false, 0, 0);
    }

    /** Whether any row's adapter adapts this layer. */
    public boolean adapts(Linear linear) {
        return ranges.stream().anyMatch(range -> range.adapter().module(linear.name()) != null);
    }

    /** The layer as an engine computes it, with y written and {@code residual} added. */
    public Projection forward(Linear linear, Tensor y, @Nullable TensorView residual) {
        return projection(linear, y, residual);
    }

    /** The layer as an engine differentiates it, with dy read. */
    public Projection backward(Linear linear, Tensor dy) {
        return projection(linear, dy, null);
    }

    private Projection projection(Linear linear, Tensor y, @Nullable TensorView residual) {
        Weight bias = linear.bias();
        return new Projection(
                linear.weight().value(),
                bias == null ? null : bias.value(),
                terms(linear),
                y,
                residual,
                linear.weight().gradient(),
                bias == null ? null : bias.gradient());
    }

    private List<LoraTerm> terms(Linear linear) {
        List<LoraTerm> terms = new ArrayList<>(ranges.size());
        for (AdapterRange range : ranges) {
            LoraModule module = range.adapter().module(linear.name());
            if (module != null && buffers != null) {
                terms.add(term(range, module, buffers));
            }
        }
        return terms;
    }

    private LoraTerm term(AdapterRange range, LoraModule module, LoraBuffers lora) {
        LoraAdapter adapter = range.adapter();
        var parameters = adapter.parameters();
        float p = (float) adapter.config().dropout();
        boolean drops = training && p > 0;
        return new LoraTerm(
                range.fromRow(),
                range.toRow(),
                parameters.compute(module.a()),
                parameters.compute(module.b()),
                module.scale(),
                lora.hidden(range, module),
                drops ? new Dropout(p, seed, microStep, module.stream()) : null,
                drops ? lora.dropped(range, module) : null,
                training
                        ? new LoraTerm.Gradients(
                                parameters.gradient(module.a()),
                                parameters.gradient(module.b()),
                                lora.hiddenGradient(range, module))
                        : null);
    }
}
