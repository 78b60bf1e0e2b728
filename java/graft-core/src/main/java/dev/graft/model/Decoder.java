package dev.graft.model;

import dev.graft.bottleneck.BottleneckAdapter;
import dev.graft.lora.LinearModule;
import dev.graft.lora.SavableWeight;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a decoder-only transformer of the Llama family, put together by its {@link DecoderConfig}. It computes nothing
 * itself: {@link DecoderPass} does, on an engine.
 */
public final class Decoder {
    static final String EMBEDDING_WEIGHT = "model.embed_tokens.weight";
    private static final String HEAD = "lm_head";
    static final String HEAD_WEIGHT = HEAD + ".weight";

    private final DecoderConfig config;
    private final Weight embedding;
    private final List<DecoderLayer> layers;
    private final Weight finalNorm;
    private final Linear head;
    private final Map<String, Linear> byName = new HashMap<>();

    /** Takes every weight of {@link WeightShape#of} from {@code source}. */
    public Decoder(DecoderConfig config, WeightSource source) {
        this.config = config;
        this.embedding = source.weight(EMBEDDING_WEIGHT);
        List<DecoderLayer> built = new ArrayList<>(config.layers());
        for (int layer = 0; layer < config.layers(); layer++) {
            built.add(layer(layer, source));
        }
        this.layers = List.copyOf(built);
        this.finalNorm = source.weight("model.norm.weight");
        this.head = new Linear(HEAD, source.head(config), null);
        byName.put(HEAD, head);
        for (DecoderLayer layer : layers) {
            layer.linears().forEach(linear -> byName.put(linear.name(), linear));
        }
    }

    /** {@code base} with layers of the same weights. */
    private Decoder(Decoder base, List<DecoderLayer> layers) {
        this.config = base.config;
        this.embedding = base.embedding;
        this.layers = List.copyOf(layers);
        this.finalNorm = base.finalNorm;
        this.head = base.head;
        this.byName.putAll(base.byName);
    }

    /** The same weights, with bottleneck modules inserted. */
    Decoder with(BottleneckAdapter adapter) {
        List<DecoderLayer> adapted = new ArrayList<>(layers.size());
        for (int layer = 0; layer < layers.size(); layer++) {
            adapted.add(layers.get(layer).with(adapter.afterAttention(layer), adapter.afterMlp(layer)));
        }
        return new Decoder(this, adapted);
    }

    private DecoderLayer layer(int index, WeightSource source) {
        String layer = "model.layers." + index + ".";
        String attention = layer + "self_attn.";
        boolean normalised = config.queryKeyNorm();
        return new DecoderLayer(
                config.attention(index),
                source.weight(layer + "input_layernorm.weight"),
                linear(attention + "q_proj", config.qkvBias(), source),
                linear(attention + "k_proj", config.qkvBias(), source),
                linear(attention + "v_proj", config.qkvBias(), source),
                linear(attention + "o_proj", config.outputBias(), source),
                normalised ? source.weight(attention + "q_norm.weight") : null,
                normalised ? source.weight(attention + "k_norm.weight") : null,
                source.weight(layer + "post_attention_layernorm.weight"),
                linear(layer + "mlp.gate_proj", config.mlpBias(), source),
                linear(layer + "mlp.up_proj", config.mlpBias(), source),
                linear(layer + "mlp.down_proj", config.mlpBias(), source),
                null,
                null);
    }

    private static Linear linear(String name, boolean hasBias, WeightSource source) {
        @Nullable Weight bias = hasBias ? source.weight(name + ".bias") : null;
        return new Linear(name, source.weight(name + ".weight"), bias);
    }

    public DecoderConfig config() {
        return config;
    }

    /** The linear layers that can be adapted, the output head last. */
    public List<LinearModule> linearModules() {
        return linearModules(config);
    }

    /** As {@link #linearModules()}, known from the configuration alone. */
    public static List<LinearModule> linearModules(DecoderConfig config) {
        List<LinearModule> modules = new ArrayList<>();
        for (WeightShape shape : WeightShape.of(config)) {
            boolean isLinear = shape.kind() == WeightShape.Kind.ATTENTION || shape.kind() == WeightShape.Kind.MLP;
            if (isLinear && !shape.isVector()) {
                modules.add(new LinearModule(
                        shape.name().substring(0, shape.name().length() - ".weight".length()),
                        shape.rows(),
                        shape.cols(),
                        false));
            }
        }
        modules.add(new LinearModule(HEAD, config.vocabSize(), config.hiddenSize(), true));
        return modules;
    }

    /** Names what a module reads: q, k and v of a layer have the same, and gate and up. */
    public static String inputOf(LinearModule module) {
        String name = module.name();
        int last = name.lastIndexOf('.') + 1;
        String parent = name.substring(0, last);
        return switch (name.substring(last)) {
            case "q_proj", "k_proj", "v_proj" -> parent + "qkv";
            case "gate_proj", "up_proj" -> parent + "gate_up";
            default -> name;
        };
    }

    /** The weights that an adapter can train whole; a tied head is one, though the checkpoint has it only once. */
    public List<SavableWeight> savableWeights() {
        return savableWeights(config);
    }

    /** As {@link #savableWeights()}, known from the configuration alone. */
    public static List<SavableWeight> savableWeights(DecoderConfig config) {
        List<SavableWeight> weights = new ArrayList<>();
        for (WeightShape shape : WeightShape.of(config)) {
            weights.add(new SavableWeight(shape.name(), shape.rows(), shape.cols(), shape.isVector(), null));
        }
        if (config.tiedEmbeddings()) {
            weights.add(
                    new SavableWeight(HEAD_WEIGHT, config.vocabSize(), config.hiddenSize(), false, EMBEDDING_WEIGHT));
        }
        return weights;
    }

    /** The linear layer of this full name. */
    Linear linear(String name) {
        Linear found = byName.get(name);
        if (found == null) {
            throw new IllegalArgumentException("this model has no linear layer " + name);
        }
        return found;
    }

    Weight embedding() {
        return embedding;
    }

    List<DecoderLayer> layers() {
        return layers;
    }

    Weight finalNorm() {
        return finalNorm;
    }

    Linear head() {
        return head;
    }
}
