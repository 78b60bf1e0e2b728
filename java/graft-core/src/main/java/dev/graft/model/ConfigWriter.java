package dev.graft.model;

import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import dev.graft.nn.RopeScaling;
import dev.graft.tensor.DType;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Writes {@code config.json} for models that Graft makes itself, in the spelling of transformers 5. */
final class ConfigWriter {
    private ConfigWriter() {}

    static void write(Path file, DecoderConfig config, DType dtype) {
        if (!(config.rope().scaling() instanceof RopeScaling.None)) {
            throw new IllegalArgumentException("a new model's rotary positions are not scaled");
        }
        Map<String, Object> json = new TreeMap<>();
        json.put("architectures", List.of(config.architecture().className()));
        json.put("model_type", config.architecture().modelType());
        json.put("vocab_size", config.vocabSize());
        json.put("hidden_size", config.hiddenSize());
        json.put("intermediate_size", config.intermediateSize());
        json.put("num_hidden_layers", config.layers());
        json.put("num_attention_heads", config.heads());
        json.put("num_key_value_heads", config.keyValueHeads());
        json.put("head_dim", config.headDim());
        json.put("hidden_act", "silu");
        json.put("rms_norm_eps", Double.parseDouble(Float.toString(config.rmsNormEpsilon())));
        json.put(
                "rope_parameters",
                Map.of("rope_type", "default", "rope_theta", config.rope().theta()));
        json.put("max_position_embeddings", config.maxPositions());
        json.put("tie_word_embeddings", config.tiedEmbeddings());
        json.put("attention_bias", config.qkvBias());
        json.put("attention_dropout", 0.0);
        json.put("mlp_bias", config.mlpBias());
        json.put("dtype", dtype == DType.F32 ? "float32" : dtype == DType.F16 ? "float16" : "bfloat16");
        if (!config.endTokens().isEmpty()) {
            json.put(
                    "eos_token_id",
                    config.endTokens().size() == 1 ? config.endTokens().getFirst() : config.endTokens());
        }
        AtomicFiles.writeString(file, Json.pretty(json) + "\n");
    }
}
