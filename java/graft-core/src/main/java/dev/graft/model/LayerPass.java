package dev.graft.model;

import dev.graft.bottleneck.Bottleneck;
import dev.graft.engine.Engine;
import dev.graft.lora.LayerCall;
import dev.graft.lora.LoraPass;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One decoder layer at work on M rows: two residual blocks, attention and MLP, each with its backward beside its forward.
 *
 * <pre>
 *   x ─ norm ─ q,k,v ─ rope ─ attention ─ o ─(+ x)─ middle ─ norm ─ gate,up ─ swiglu ─ down ─(+ middle)─ y
 * </pre>
 *
 * A bottleneck module, if there is one, comes before the sum that ends its block: {@link BottleneckPass}.
 */
final class LayerPass {
    private final Engine engine;
    private final DecoderLayer layer;
    private final LayerBuffers buffers;
    private final DecoderBuffers shared;
    private final BatchContext batch;
    private final LoraPass lora;
    private final float epsilon;
    private final int rows;

    LayerPass(
            Engine engine,
            DecoderLayer layer,
            LayerBuffers buffers,
            DecoderBuffers shared,
            BatchContext batch,
            LoraPass lora,
            float epsilon) {
        this.engine = engine;
        this.layer = layer;
        this.buffers = buffers;
        this.shared = shared;
        this.batch = batch;
        this.lora = lora;
        this.epsilon = epsilon;
        this.rows = batch.rows();
    }

    /** {@code y = layer(x)}; x is the layer's own buffer. */
    void forward(int index, Tensor y) {
        Tensor x = head(buffers.x());
        Tensor middle = head(buffers.middle());
        Tensor keys = batch.newKeys(index, buffers);
        Tensor values = batch.newValues(index, buffers);

        Tensor normed = norm(x, layer.inputNorm(), buffers.inputRstd());
        project(normed, keys, values);
        rotate(head(buffers.query()), keys, false);
        engine.attentionForward(
                layer.attention(),
                batch.sequences(),
                head(buffers.query()),
                batch.allKeys(index, buffers),
                batch.allValues(index, buffers),
                head(buffers.attended()),
                head(buffers.logSumExp()));
        endBlock(head(buffers.attended()), layer.output(), attentionBottleneck(), x, middle);

        Tensor postNormed = norm(middle, layer.postNorm(), buffers.postRstd());
        lora.forward(
                engine,
                postNormed,
                List.of(
                        new LayerCall(layer.gate(), head(buffers.gate())),
                        new LayerCall(layer.up(), head(buffers.up()))));
        Tensor activated = head(shared.activated());
        engine.swigluForward(head(buffers.gate()), head(buffers.up()), activated);
        endBlock(activated, layer.down(), mlpBottleneck(), middle, y);
    }

    /** {@code y = residual + last(input)}, with what a module makes of the latter. */
    private void endBlock(Tensor input, Linear last, @Nullable BottleneckPass bottleneck, Tensor residual, Tensor y) {
        if (bottleneck == null) {
            lora.forward(engine, input, List.of(new LayerCall(last, y, residual)));
        } else {
            bottleneck.forward(input, last, residual, y);
        }
    }

    private void project(Tensor normed, Tensor keys, Tensor values) {
        Tensor rawQuery = layer.queryNorm() == null ? buffers.query() : Objects.requireNonNull(buffers.rawQuery());
        Tensor rawKeys = layer.keyNorm() == null ? keys : head(Objects.requireNonNull(buffers.rawKey()));
        lora.forward(
                engine,
                normed,
                List.of(
                        new LayerCall(layer.query(), head(rawQuery)),
                        new LayerCall(layer.key(), rawKeys),
                        new LayerCall(layer.value(), values)));
        if (layer.queryNorm() != null) {
            normHeads(head(rawQuery), layer.queryNorm(), head(buffers.query()), buffers.queryRstd());
        }
        if (layer.keyNorm() != null) {
            normHeads(rawKeys, layer.keyNorm(), keys, buffers.keyRstd());
        }
    }

    private void rotate(Tensor queries, Tensor keys, boolean inverse) {
        int headDim = layer.attention().headDim();
        engine.rope(queries, shared.cosSin(), batch.positions(), headDim, inverse);
        engine.rope(keys, shared.cosSin(), batch.positions(), headDim, inverse);
    }

    // ---- backward

    /** Whether the MLP block has anything to train. */
    boolean trainsMlp() {
        return trainsMlpLayers() || trains(layer.mlpBottleneck());
    }

    private boolean trainsMlpLayers() {
        return trains(layer.gate())
                || trains(layer.up())
                || trains(layer.down())
                || layer.postNorm().isTrainable();
    }

    /** Whether the attention block has anything to train. */
    boolean trainsAttention() {
        return trainsProjections() || trains(layer.output()) || trains(layer.attentionBottleneck());
    }

    private boolean trainsProjections() {
        return trains(layer.query())
                || trains(layer.key())
                || trains(layer.value())
                || isTrainable(layer.queryNorm())
                || isTrainable(layer.keyNorm())
                || layer.inputNorm().isTrainable();
    }

    private static boolean isTrainable(@Nullable Weight weight) {
        return weight != null && weight.isTrainable();
    }

    private boolean trains(Linear linear) {
        return linear.isTrainable() || lora.adapts(linear);
    }

    private static boolean trains(@Nullable Bottleneck bottleneck) {
        return bottleneck != null && bottleneck.isTrainable();
    }

    /**
     * Backward of the MLP block. The residual gradient of the layer's output comes in and that of {@code middle} goes out, in
     * the same buffer: what flows around the block is already there, the block adds its own.
     *
     * @param inputNeeded whether anything before this block is trained
     */
    void backwardMlp(boolean inputNeeded) {
        boolean throughMlp = inputNeeded || trainsMlpLayers();
        Tensor dOutput = outputGradient(mlpBottleneck(), throughMlp);
        if (!throughMlp) {
            return;
        }
        DecoderBuffers.Gradients gradients = shared.gradients();
        Tensor middle = head(buffers.middle());
        Tensor gate = head(buffers.gate());
        Tensor up = head(buffers.up());

        Tensor activated = head(shared.activated());
        engine.swigluForward(gate, up, activated);
        Tensor dActivated = head(gradients.activated());
        lora.backward(engine, activated, List.of(new LayerCall(layer.down(), dOutput)), dActivated);
        engine.swigluBackward(dActivated, gate, up, gate, up);

        Tensor postNormed = norm(middle, layer.postNorm(), buffers.postRstd());
        Tensor dNormed = inputNeeded || layer.postNorm().isTrainable() ? head(gradients.normed()) : null;
        lora.backward(
                engine, postNormed, List.of(new LayerCall(layer.gate(), gate), new LayerCall(layer.up(), up)), dNormed);
        if (dNormed != null) {
            normBackward(dNormed, middle, layer.postNorm(), buffers.postRstd(), head(gradients.residual()));
        }
    }

    /** Backward of the attention block, like {@link #backwardMlp}. */
    void backwardAttention(int index, boolean inputNeeded) {
        DecoderBuffers.Gradients gradients = shared.gradients();
        Tensor x = head(buffers.x());

        boolean throughAttention = inputNeeded || trainsProjections();
        boolean throughOutput = throughAttention || trains(layer.output());
        Tensor dOutput = outputGradient(attentionBottleneck(), throughOutput);
        if (!throughOutput) {
            return;
        }
        Tensor dAttended = throughAttention ? head(gradients.attended()) : null;
        lora.backward(engine, head(buffers.attended()), List.of(new LayerCall(layer.output(), dOutput)), dAttended);
        if (dAttended == null) {
            return;
        }
        Tensor dQuery = head(gradients.query());
        Tensor dKey = head(gradients.key());
        Tensor dValue = head(gradients.value());
        engine.attentionBackward(
                layer.attention(),
                batch.sequences(),
                head(buffers.query()),
                batch.allKeys(index, buffers),
                batch.allValues(index, buffers),
                head(buffers.attended()),
                head(buffers.logSumExp()),
                dAttended,
                dQuery,
                dKey,
                dValue);
        rotate(dQuery, dKey, true);
        normHeadsBackward(dQuery, layer.queryNorm(), buffers.rawQuery(), buffers.queryRstd());
        normHeadsBackward(dKey, layer.keyNorm(), buffers.rawKey(), buffers.keyRstd());

        Tensor normed = norm(x, layer.inputNorm(), buffers.inputRstd());
        Tensor dNormed = inputNeeded || layer.inputNorm().isTrainable() ? head(gradients.normed()) : null;
        lora.backward(
                engine,
                normed,
                List.of(
                        new LayerCall(layer.query(), dQuery),
                        new LayerCall(layer.key(), dKey),
                        new LayerCall(layer.value(), dValue)),
                dNormed);
        if (dNormed != null) {
            normBackward(dNormed, x, layer.inputNorm(), buffers.inputRstd(), head(gradients.residual()));
        }
    }

    // ---- bottleneck modules

    private @Nullable BottleneckPass attentionBottleneck() {
        return bottleneck(layer.attentionBottleneck(), buffers.attentionBottleneck());
    }

    private @Nullable BottleneckPass mlpBottleneck() {
        return bottleneck(layer.mlpBottleneck(), buffers.mlpBottleneck());
    }

    private @Nullable BottleneckPass bottleneck(@Nullable Bottleneck module, @Nullable BottleneckBuffers kept) {
        return module == null
                ? null
                : new BottleneckPass(engine, module, Objects.requireNonNull(kept), shared.bottlenecks(), lora, rows);
    }

    /**
     * The gradient of the output of a block's last layer: that of the residual stream, or what a module makes of it.
     *
     * @param needed whether it will be read
     */
    private Tensor outputGradient(@Nullable BottleneckPass bottleneck, boolean needed) {
        Tensor dResidual = head(shared.gradients().residual());
        if (bottleneck == null) {
            return dResidual;
        }
        // free until the block's norm needs it
        Tensor dh = head(shared.gradients().normed());
        bottleneck.backward(dResidual, needed ? dh : null);
        return dh;
    }

    // ---- norms

    private Tensor norm(TensorView x, Weight weight, Tensor rstd) {
        Tensor y = head(shared.normed());
        engine.rmsNormForward(x, weight.value(), epsilon, y, rstd.columns(0, rows));
        return y;
    }

    private void normBackward(Tensor dy, TensorView x, Weight weight, Tensor rstd, Tensor dResidual) {
        engine.rmsNormBackward(dy, x, weight.value(), rstd.columns(0, rows), dResidual, true, weight.gradient());
    }

    private void normHeads(Tensor raw, Weight weight, Tensor y, @Nullable Tensor rstd) {
        engine.rmsNormForward(
                byHead(raw), weight.value(), epsilon, byHead(y), headRstd(raw, Objects.requireNonNull(rstd)));
    }

    private void normHeadsBackward(
            Tensor gradient, @Nullable Weight weight, @Nullable Tensor raw, @Nullable Tensor rstd) {
        if (weight == null) {
            return;
        }
        Tensor x = head(Objects.requireNonNull(raw));
        Tensor dx = byHead(gradient);
        engine.rmsNormBackward(
                dx, byHead(x), weight.value(), headRstd(x, Objects.requireNonNull(rstd)), dx, false, weight.gradient());
    }

    private Tensor byHead(Tensor x) {
        int headDim = layer.attention().headDim();
        return x.reshape(x.rows() * (x.cols() / headDim), headDim);
    }

    private Tensor headRstd(Tensor x, Tensor rstd) {
        return rstd.columns(0, x.rows() * (x.cols() / layer.attention().headDim()));
    }

    private Tensor head(Tensor buffer) {
        return buffer.rows(0, rows);
    }
}
