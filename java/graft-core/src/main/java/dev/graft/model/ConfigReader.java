package dev.graft.model;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.common.InputException;
import dev.graft.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads {@code config.json} in the spellings of transformers 4 ({@code rope_theta}, {@code rope_scaling}) and 5
 * ({@code rope_parameters}). A field that would change the maths and is not supported is an error that names it.
 */
public final class ConfigReader {
    private final Path file;
    private final JsonNode json;
    private final Architecture architecture;

    private ConfigReader(Path file, JsonNode json) {
        this.file = file;
        this.json = json;
        this.architecture = readArchitecture();
    }

    /** The configuration of the model in {@code folder}. */
    public static DecoderConfig read(Path folder) {
        Path file = folder.resolve("config.json");
        if (!Files.isDirectory(folder)) {
            throw new InputException(folder + ": no such model folder; --model takes a Hugging Face checkpoint folder");
        }
        if (!Files.exists(file)) {
            throw new InputException(file + ": missing; a model folder holds config.json and model.safetensors");
        }
        return new ConfigReader(file, Json.read(file)).config();
    }

    private DecoderConfig config() {
        refuseUnsupported();
        int layers = positive("num_hidden_layers", 32);
        int hidden = positive("hidden_size", 4096);
        int heads = positive("num_attention_heads", 32);
        int keyValueHeads = keyValueHeads(heads);
        int headDim = positive("head_dim", architecture == Architecture.QWEN3 ? 128 : hidden / heads);
        if (heads % keyValueHeads != 0) {
            throw bad("num_key_value_heads", keyValueHeads + " does not divide num_attention_heads " + heads);
        }
        if (headDim % 2 != 0) {
            throw bad("head_dim", headDim + " is odd; rotary positions need an even one");
        }
        Architecture.Defaults defaults = architecture.defaults();
        int maxPositions = positive("max_position_embeddings", defaults.maxPositions());
        boolean isQwen2 = architecture == Architecture.QWEN2;
        // Mistral and Qwen2 have no such field: never a bias in one, always one on q, k and v in the other
        boolean attentionBias = !isQwen2 && architecture != Architecture.MISTRAL && bool("attention_bias", false);
        return new DecoderConfig(
                architecture,
                positive("vocab_size", defaults.vocabSize()),
                hidden,
                positive("intermediate_size", defaults.intermediateSize()),
                layers,
                heads,
                keyValueHeads,
                headDim,
                (float) number(json, "rms_norm_eps", 1e-6),
                new RopeReader(file, json, headDim, maxPositions).read(),
                maxPositions,
                bool("tie_word_embeddings", false),
                attentionBias || isQwen2,
                attentionBias,
                architecture == Architecture.LLAMA && bool("mlp_bias", false),
                architecture == Architecture.QWEN3,
                windows(layers),
                endTokens());
    }

    private Architecture readArchitecture() {
        JsonNode names = json.path("architectures");
        if (names.isArray() && !names.isEmpty()) {
            return Architecture.of(names.get(0).asText(), file.toString());
        }
        String type = json.path("model_type").asText("");
        for (Architecture candidate : Architecture.values()) {
            if (candidate.modelType().equals(type)) {
                return candidate;
            }
        }
        throw new InputException(
                file + ": neither 'architectures' nor 'model_type' names a supported decoder (found model_type '" + type
                        + "')");
    }

    private void refuseUnsupported() {
        String activation = json.path("hidden_act").asText("silu");
        if (!activation.equals("silu") && !activation.equals("swish")) {
            throw bad("hidden_act", "'" + activation + "' is not supported, only silu is");
        }
        refuseUnless("attention_dropout", number(json, "attention_dropout", 0) == 0);
        refuseUnless("partial_rotary_factor", number(json, "partial_rotary_factor", 1) == 1);
        refuseUnless("pretraining_tp", number(json, "pretraining_tp", 1) == 1);
        for (String field : List.of(
                "quantization_config",
                "num_local_experts",
                "num_experts",
                "logit_scale",
                "attn_logit_softcapping",
                "final_logit_softcapping",
                "residual_multiplier",
                "embedding_multiplier",
                "logits_scaling",
                "attention_multiplier",
                "no_rope_layers")) {
            refuseUnless(
                    field, json.path(field).isMissingNode() || json.path(field).isNull());
        }
    }

    private void refuseUnless(String field, boolean supported) {
        if (!supported) {
            throw bad(field, json.path(field) + " changes the model's maths and is not supported");
        }
    }

    /** A field left out means the family's default, an explicit null as many as query heads. */
    private int keyValueHeads(int heads) {
        int otherwise = architecture.defaults().keyValueHeads();
        return positive("num_key_value_heads", json.has("num_key_value_heads") || otherwise == 0 ? heads : otherwise);
    }

    private List<Integer> windows(int layers) {
        JsonNode field = json.path("sliding_window");
        boolean isMistral = architecture == Architecture.MISTRAL;
        int window = field.isNull() || architecture == Architecture.LLAMA ? 0 : positive("sliding_window", 4096);
        boolean used = isMistral || (architecture != Architecture.LLAMA && bool("use_sliding_window", false));
        int firstWindowed = isMistral ? 0 : (int) number(json, "max_window_layers", 28);
        JsonNode types = json.path("layer_types");
        List<Integer> windows = new ArrayList<>(layers);
        for (int layer = 0; layer < layers; layer++) {
            boolean windowed = used && layer >= firstWindowed;
            if (!isMistral && types.isArray()) {
                windowed = used && slides(types, layer, layers);
            }
            windows.add(windowed ? window : 0);
        }
        return windows;
    }

    private boolean slides(JsonNode types, int layer, int layers) {
        String type = types.path(layer).asText("");
        if (types.size() != layers || !(type.equals("sliding_attention") || type.equals("full_attention"))) {
            throw bad("layer_types", "expected " + layers + " of full_attention or sliding_attention, found " + types);
        }
        return type.equals("sliding_attention");
    }

    private List<Integer> endTokens() {
        JsonNode node = json.path("eos_token_id");
        if (node.isMissingNode()) {
            return architecture.defaults().endTokens();
        }
        List<Integer> ids = new ArrayList<>();
        for (JsonNode id : node.isArray() ? node : List.of(node)) {
            if (id.isInt()) {
                ids.add(id.asInt());
            } else if (!id.isNull()) {
                throw bad("eos_token_id", node + " is neither a token id nor a list of them");
            }
        }
        return ids;
    }

    private int positive(String field, int otherwise) {
        JsonNode node = json.path(field);
        if (node.isMissingNode() || node.isNull()) {
            return otherwise;
        }
        if (!node.isInt() || node.asInt() < 1) {
            throw bad(field, node + " is not a positive whole number");
        }
        return node.asInt();
    }

    private boolean bool(String field, boolean otherwise) {
        JsonNode node = json.path(field);
        if (node.isMissingNode() || node.isNull()) {
            return otherwise;
        }
        if (!node.isBoolean()) {
            throw bad(field, node + " is neither true nor false");
        }
        return node.asBoolean();
    }

    private double number(JsonNode node, String field, double otherwise) {
        JsonNode value = node.path(field);
        if (value.isMissingNode() || value.isNull()) {
            return otherwise;
        }
        if (!value.isNumber()) {
            throw bad(field, value + " is not a number");
        }
        return value.asDouble();
    }

    private InputException bad(String field, String what) {
        return new InputException(file + ": " + field + ": " + what);
    }
}
