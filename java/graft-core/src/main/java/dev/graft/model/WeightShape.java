package dev.graft.model;

import java.util.ArrayList;
import java.util.List;

/**
 * A weight of a decoder as the checkpoint stores it.
 *
 * @param name such as {@code model.layers.0.mlp.up_proj.weight}
 * @param rows 1 for a vector
 * @param isVector whether it is stored with one dimension
 * @param kind what it is part of
 */
public record WeightShape(String name, int rows, int cols, boolean isVector, Kind kind) {
    /** The parts of a model, for counting parameters. */
    public enum Kind {
        EMBEDDING,
        ATTENTION,
        MLP,
        NORM,
        HEAD
    }

    public long size() {
        return (long) rows * cols;
    }

    /** As in the checkpoint's header. */
    public List<Long> storedShape() {
        return isVector ? List.of((long) cols) : List.of((long) rows, (long) cols);
    }

    /** Every weight of a decoder, in checkpoint order. A tied head is not stored and not listed. */
    public static List<WeightShape> of(DecoderConfig config) {
        List<WeightShape> shapes = new ArrayList<>();
        shapes.add(matrix("model.embed_tokens", config.vocabSize(), config.hiddenSize(), Kind.EMBEDDING));
        for (int layer = 0; layer < config.layers(); layer++) {
            addLayer(shapes, config, "model.layers." + layer + ".");
        }
        shapes.add(vector("model.norm.weight", config.hiddenSize(), Kind.NORM));
        if (!config.tiedEmbeddings()) {
            shapes.add(matrix("lm_head", config.vocabSize(), config.hiddenSize(), Kind.HEAD));
        }
        return shapes;
    }

    private static void addLayer(List<WeightShape> shapes, DecoderConfig config, String layer) {
        int d = config.hiddenSize();
        int queries = config.queryWidth();
        int keys = config.keyValueWidth();
        String attention = layer + "self_attn.";
        shapes.add(vector(layer + "input_layernorm.weight", d, Kind.NORM));
        addLinear(shapes, attention + "q_proj", queries, d, config.qkvBias(), Kind.ATTENTION);
        addLinear(shapes, attention + "k_proj", keys, d, config.qkvBias(), Kind.ATTENTION);
        addLinear(shapes, attention + "v_proj", keys, d, config.qkvBias(), Kind.ATTENTION);
        addLinear(shapes, attention + "o_proj", d, queries, config.outputBias(), Kind.ATTENTION);
        if (config.queryKeyNorm()) {
            shapes.add(vector(attention + "q_norm.weight", config.headDim(), Kind.NORM));
            shapes.add(vector(attention + "k_norm.weight", config.headDim(), Kind.NORM));
        }
        shapes.add(vector(layer + "post_attention_layernorm.weight", d, Kind.NORM));
        addLinear(shapes, layer + "mlp.gate_proj", config.intermediateSize(), d, config.mlpBias(), Kind.MLP);
        addLinear(shapes, layer + "mlp.up_proj", config.intermediateSize(), d, config.mlpBias(), Kind.MLP);
        addLinear(shapes, layer + "mlp.down_proj", d, config.intermediateSize(), config.mlpBias(), Kind.MLP);
    }

    private static void addLinear(
            List<WeightShape> shapes, String module, int out, int in, boolean hasBias, Kind kind) {
        shapes.add(matrix(module, out, in, kind));
        if (hasBias) {
            shapes.add(vector(module + ".bias", out, kind));
        }
    }

    private static WeightShape matrix(String module, int rows, int cols, Kind kind) {
        return new WeightShape(module + ".weight", rows, cols, false, kind);
    }

    private static WeightShape vector(String name, int length, Kind kind) {
        return new WeightShape(name, 1, length, true, kind);
    }
}
