package dev.graft.lora;

import dev.graft.engine.Dropout;
import dev.graft.engine.Engine;
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

    /** The outputs of layers that share the input x [M, in], adapters and bias included. */
    public void forward(Engine engine, TensorView x, List<LayerCall> calls) {
        List<Projection> together = new ArrayList<>(calls.size());
        List<DoraLayer> scaled = new ArrayList<>();
        for (LayerCall call : calls) {
            if (!isScaled(call.linear())) {
                together.add(projection(call.linear(), call.linear().bias(), call.y(), call.residual()));
                continue;
            }
            DoraLayer layer = new DoraLayer(engine, this, x, call);
            scaled.add(layer);
            if (!layer.drops()) {
                together.add(layer.forward());
            }
        }
        if (!together.isEmpty()) {
            engine.linearForward(x, together);
        }
        scaled.forEach(DoraLayer::finishForward);
    }

    /**
     * The gradients of {@link #forward}: {@code dx =} their sum over the layers, and those of what is trained {@code +=}. Where a
     * DoRA layer's output was float32 and dy is not, its dy is overwritten.
     *
     * @param dx [M, in]; null where nothing before these layers is trained
     */
    public void backward(Engine engine, TensorView x, List<LayerCall> calls, @Nullable Tensor dx) {
        List<Projection> together = new ArrayList<>(calls.size());
        List<DoraLayer> dropped = new ArrayList<>();
        for (LayerCall call : calls) {
            if (!isScaled(call.linear())) {
                together.add(projection(call.linear(), call.linear().bias(), call.y(), null));
                continue;
            }
            DoraLayer layer = new DoraLayer(engine, this, x, call);
            if (layer.drops()) {
                dropped.add(layer);
            } else {
                together.add(layer.backward());
            }
        }
        engine.linearBackward(x, together, dx);
        dropped.forEach(layer -> layer.backwardDropped(dx));
    }

    /** Whether DoRA scales any row of this layer's output. */
    private boolean isScaled(Linear linear) {
        return ranges.stream()
                .map(range -> range.adapter().module(linear.name()))
                .anyMatch(module -> module != null && module.magnitude() != null);
    }

    /** The layer as an engine computes it, y written, or differentiates it, with dy for y. */
    Projection projection(Linear linear, @Nullable Weight bias, Tensor y, @Nullable TensorView residual) {
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
        // DoRA drops elements of the whole layer's input (DoraLayer)
        boolean drops = training && p > 0 && module.magnitude() == null;
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
