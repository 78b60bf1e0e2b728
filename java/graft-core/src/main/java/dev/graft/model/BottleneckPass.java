package dev.graft.model;

import dev.graft.bottleneck.Bottleneck;
import dev.graft.engine.Engine;
import dev.graft.lora.LayerCall;
import dev.graft.lora.LoraPass;
import dev.graft.nn.Linear;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A bottleneck module at work on M rows: the end of a residual block with output h.
 *
 * <pre>
 *   input ─ last ─ h ─┬─ down ─ gelu ─ up ─(+ h)─(+ residual)─ y
 * </pre>
 *
 * In bf16, h reaches the sum unrounded and the sum is rounded once, as where there is no module: with {@code up} at zero the bits
 * are those of the model without it, unless the block ends with a bias that the engine would add to the residual first.
 */
record BottleneckPass(
        Engine engine,
        Bottleneck module,
        BottleneckBuffers kept,
        BottleneckBuffers.Shared shared,
        LoraPass lora,
        int rows) {

    /** {@code y = residual + h + up(gelu(down(h)))} with {@code h = last(input)}. */
    void forward(TensorView input, Linear last, TensorView residual, Tensor y) {
        Tensor h = head(kept.output());
        Tensor exact = shared.exact() == null ? h : head(shared.exact());
        Tensor sum = shared.sum() == null ? y : head(shared.sum());
        lora.forward(engine, input, List.of(new LayerCall(last, exact)));
        if (exact != h) {
            engine.convert(exact, h);
        }
        Tensor hidden = head(kept.hidden());
        Tensor activated = head(shared.activated());
        lora.forward(engine, h, List.of(new LayerCall(module.down(), hidden)));
        engine.geluForward(hidden, activated);
        lora.forward(engine, activated, List.of(new LayerCall(module.up(), sum, exact)));
        engine.add(residual, sum, y);
    }

    /**
     * Gradients of the module's weights, and {@code dh = dy + (dy U ∘ gelu') D}.
     *
     * @param dy of the block's output, which is that of the module's, too
     * @param dh written; null where nothing before the module is trained
     */
    void backward(Tensor dy, @Nullable Tensor dh) {
        Tensor hidden = head(kept.hidden());
        Tensor activated = head(shared.activated());
        Tensor dActivated = head(Objects.requireNonNull(shared.activatedGradient()));
        engine.geluForward(hidden, activated);
        lora.backward(engine, activated, List.of(new LayerCall(module.up(), dy)), dActivated);
        engine.geluBackward(dActivated, hidden, hidden);
        lora.backward(engine, head(kept.output()), List.of(new LayerCall(module.down(), hidden)), dh);
        if (dh != null) {
            engine.add(dy, dh, dh);
        }
    }

    private Tensor head(Tensor buffer) {
        return buffer.rows(0, rows);
    }
}
