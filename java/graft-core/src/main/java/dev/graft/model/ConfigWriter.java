package dev.graft.model;

import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import dev.graft.nn.RopeScaling;
import dev.graft.tensor.DType;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Writes {@code config.json} for models that Graft makes itself, in the spelling of transformers 5. */
final class ConfigWriter {
    private ConfigWriter() {}

    static void write(Path file, DecoderConfig config, DType dtype) {
        if (!(config.rope().scaling() instanceof RopeScaling.None)) {
            throw new IllegalArgumentException("a new model's rotary positions are not scaled");
        }
        Map<String, @Nullable Object> json = new TreeMap<>();
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
        json.put("attention_bias", config.outputBias());
        json.put("attention_dropout", 0.0);
        json.put("mlp_bias", config.mlpBias());
        json.put("dtype", dtype == DType.F32 ? "float32" : dtype == DType.F16 ? "float16" : "bfloat16");
        json.put(
                "eos_token_id",
                switch (config.endTokens().size()) {
                    case 0 -> null;
                    case 1 -> config.endTokens().getFirst();
                    default -> config.endTokens();
                });
        putWindows(json, config);
        AtomicFiles.writeString(file, Json.pretty(json) + "\n");
    }

    /** Mistral has one window for all layers or none, Qwen one for some layers, Llama none. */
    private static void putWindows(Map<String, @Nullable Object> json, DecoderConfig config) {
        List<Integer> sizes =
                config.windows().stream().distinct().filter(size -> size > 0).toList();
        boolean all = !config.windows().contains(0);
        boolean expressible = sizes.isEmpty()
                || (sizes.size() == 1
                        && config.architecture() != Architecture.LLAMA
                        && (all || config.architecture() != Architecture.MISTRAL));
        if (!expressible) {
            throw new IllegalArgumentException(config.architecture() + " has no windows like " + config.windows());
        }
        if (config.architecture() == Architecture.LLAMA) {
            return;
        }
        json.put("sliding_window", sizes.isEmpty() ? null : sizes.getFirst());
        if (config.architecture() != Architecture.MISTRAL) {
            json.put("use_sliding_window", !sizes.isEmpty());
            json.put(
                    "layer_types",
                    config.windows().stream()
                            .map(size -> size > 0 ? "sliding_attention" : "full_attention")
                            .toList());
        }
    }
}
