package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.io.Json;
import dev.graft.nn.RopeScaling;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code config.json} as transformers 5.18 understands it. */
class ConfigReaderTest {
    @TempDir
    Path folder;

    private DecoderConfig read(String json) {
        try {
            Files.writeString(folder.resolve("config.json"), json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return ConfigReader.read(folder);
    }

    private DecoderConfig read(String type, String fields) {
        return read("{\"model_type\": \"" + type + "\"" + (fields.isEmpty() ? "" : ", " + fields) + "}");
    }

    @ParameterizedTest
    @CsvSource({
        "llama, 32000, 11008, 32, 128, 2048, 0, 2",
        "mistral, 32000, 14336, 8, 128, 131072, 4096, 2",
        "qwen2, 151936, 22016, 32, 128, 32768, 0,",
        "qwen3, 151936, 22016, 32, 128, 32768, 0,",
    })
    void fieldsLeftOutMeanWhatTransformersAssumes(
            String type,
            int vocabulary,
            int intermediate,
            int keyValueHeads,
            int headDim,
            int positions,
            int window,
            Integer endToken) {
        DecoderConfig config = read(type, "");
        assertThat(config.vocabSize()).isEqualTo(vocabulary);
        assertThat(config.hiddenSize()).isEqualTo(4096);
        assertThat(config.intermediateSize()).isEqualTo(intermediate);
        assertThat(config.layers()).isEqualTo(32);
        assertThat(config.heads()).isEqualTo(32);
        assertThat(config.keyValueHeads()).isEqualTo(keyValueHeads);
        assertThat(config.headDim()).isEqualTo(headDim);
        assertThat(config.maxPositions()).isEqualTo(positions);
        assertThat(config.rmsNormEpsilon()).isEqualTo(1e-6f);
        assertThat(config.rope().theta()).isEqualTo(10000);
        assertThat(config.rope().scaling()).isEqualTo(new RopeScaling.None());
        assertThat(config.tiedEmbeddings()).isFalse();
        assertThat(config.windows()).isEqualTo(Collections.nCopies(32, window));
        assertThat(config.endTokens()).isEqualTo(endToken == null ? List.of() : List.of(endToken));
        assertThat(config.qkvBias()).isEqualTo(type.equals("qwen2"));
        assertThat(config.outputBias()).isFalse();
        assertThat(config.mlpBias()).isFalse();
        assertThat(config.queryKeyNorm()).isEqualTo(type.equals("qwen3"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "mistral", "qwen2", "qwen3"})
    void explicitNullsMeanNotSet(String type) {
        DecoderConfig config = read(
                type,
                "\"num_attention_heads\": 16, \"num_key_value_heads\": null, \"head_dim\": null,"
                        + "\"eos_token_id\": null, \"sliding_window\": null, \"rope_scaling\": null");
        assertThat(config.keyValueHeads()).isEqualTo(16);
        assertThat(config.headDim()).isEqualTo(type.equals("qwen3") ? 128 : 256);
        assertThat(config.endTokens()).isEmpty();
        assertThat(config.windows()).containsOnly(0);
    }

    @Test
    void biasesAreWhereTheFamilyHasThem() {
        String biases = "\"attention_bias\": true, \"mlp_bias\": true";
        DecoderConfig llama = read("llama", biases);
        assertThat(List.of(llama.qkvBias(), llama.outputBias(), llama.mlpBias()))
                .containsOnly(true);
        DecoderConfig qwen3 = read("qwen3", biases);
        assertThat(List.of(qwen3.qkvBias(), qwen3.outputBias(), qwen3.mlpBias()))
                .containsExactly(true, true, false);
        DecoderConfig qwen2 = read("qwen2", biases);
        assertThat(List.of(qwen2.qkvBias(), qwen2.outputBias(), qwen2.mlpBias()))
                .containsExactly(true, false, false);
        DecoderConfig mistral = read("mistral", biases);
        assertThat(List.of(mistral.qkvBias(), mistral.outputBias(), mistral.mlpBias()))
                .containsOnly(false);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"rope_theta\": 500.0, \"rope_scaling\": {\"rope_type\": \"llama3\", ",
                "\"rope_theta\": 500.0, \"rope_scaling\": {\"type\": \"llama3\", ",
                "\"rope_parameters\": {\"rope_theta\": 500.0, \"rope_type\": \"llama3\", "
            })
    void bothSpellingsOfRotaryParameters(String start) {
        DecoderConfig config = read(
                "llama",
                start + "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0,"
                        + " \"original_max_position_embeddings\": 8192}, \"max_position_embeddings\": 131072");
        assertThat(config.rope().theta()).isEqualTo(500);
        assertThat(config.rope().scaling()).isEqualTo(new RopeScaling.Llama3(8, 1, 4, 8192));
    }

    @Test
    void everyKindOfRotaryScaling() {
        assertThat(scaling("\"rope_type\": \"default\"")).isEqualTo(new RopeScaling.None());
        assertThat(scaling("\"rope_type\": \"linear\", \"factor\": 2")).isEqualTo(new RopeScaling.Linear(2));
        assertThat(scaling("\"rope_type\": \"dynamic\", \"factor\": 3.0")).isEqualTo(new RopeScaling.Dynamic(3, 2048));
        double suggested = 0.1 * Math.log(4) + 1;
        assertThat(scaling("\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 512"))
                .isEqualTo(new RopeScaling.Yarn(4, 32, 1, suggested, 512, true));
        assertThat(scaling("\"rope_type\": \"yarn\", \"factor\": null, \"original_max_position_embeddings\": 512"))
                .as("the factor follows from the lengths")
                .isEqualTo(new RopeScaling.Yarn(4, 32, 1, suggested, 512, true));
        assertThat(scaling("\"rope_type\": \"yarn\", \"factor\": 4.0, \"attention_factor\": 1.5, \"beta_fast\": 16,"
                        + "\"beta_slow\": 2, \"truncate\": false"))
                .isEqualTo(new RopeScaling.Yarn(4, 16, 2, 1.5, 2048, false));
    }

    private RopeScaling scaling(String parameters) {
        return read("llama", "\"rope_parameters\": {" + parameters + "}").rope().scaling();
    }

    @Test
    void windowsByLayer() {
        assertThat(read("mistral", "\"num_hidden_layers\": 3, \"sliding_window\": 7")
                        .windows())
                .containsExactly(7, 7, 7);
        String four = "\"num_hidden_layers\": 4, \"sliding_window\": 7";
        assertThat(read("llama", four).windows()).containsOnly(0);
        assertThat(read("qwen2", four + ", \"max_window_layers\": 2").windows()).containsOnly(0);
        String used = four + ", \"use_sliding_window\": true";
        assertThat(read("qwen2", used + ", \"max_window_layers\": 3").windows()).containsExactly(0, 0, 0, 7);
        assertThat(read("qwen3", used + ", \"max_window_layers\": 0").windows()).containsExactly(7, 7, 7, 7);
        assertThat(read(
                                "qwen3",
                                used + ", \"layer_types\": [\"sliding_attention\", \"full_attention\","
                                        + " \"sliding_attention\", \"full_attention\"]")
                        .windows())
                .containsExactly(7, 0, 7, 0);
    }

    @Test
    void architecturesGoBeforeTheModelType() {
        assertThat(read("{\"architectures\": [\"Qwen3ForCausalLM\"], \"model_type\": \"llama\"}")
                        .architecture())
                .isEqualTo(Architecture.QWEN3);
        assertThatThrownBy(() -> read("{\"architectures\": [\"GemmaForCausalLM\"]}"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("GemmaForCausalLM")
                .hasMessageContaining("MistralForCausalLM");
        assertThatThrownBy(() -> read("{\"model_type\": \"gpt2\"}"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'gpt2'");
        assertThatThrownBy(() -> read("{}")).isInstanceOf(InputException.class);
    }

    @Test
    void endTokens() {
        assertThat(read("llama", "\"eos_token_id\": 7").endTokens()).containsExactly(7);
        assertThat(read("llama", "\"eos_token_id\": [7, 9]").endTokens()).containsExactly(7, 9);
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '|',
            value = {
                "hidden_act, |\"gelu\"|",
                "attention_dropout, 0.1",
                "partial_rotary_factor, 0.5",
                "pretraining_tp, 2",
                "quantization_config, |{\"bits\": 4}|",
                "num_local_experts, 8",
                "num_experts, 8",
                "logit_scale, 0.1",
                "attn_logit_softcapping, 50.0",
                "final_logit_softcapping, 30.0",
                "residual_multiplier, 0.5",
                "embedding_multiplier, 12.0",
                "logits_scaling, 8.0",
                "attention_multiplier, 0.1",
                "no_rope_layers, |[1, 0]|",
                "num_hidden_layers, 0",
                "num_hidden_layers, |\"2\"|",
                "hidden_size, -4",
                "vocab_size, 1.5",
                "num_key_value_heads, 3",
                "head_dim, 7",
                "rms_norm_eps, |\"small\"|",
                "rope_theta, |\"large\"|",
                "rope_theta, -1",
                "tie_word_embeddings, |\"yes\"|",
                "eos_token_id, |\"</s>\"|",
                "eos_token_id, |[\"</s>\"]|",
            })
    void whatIsNotSupportedIsNamed(String field, String value) {
        assertThatThrownBy(() -> read("llama", "\"" + field + "\": " + value))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith(folder.resolve("config.json") + ": " + field)
                .message()
                .doesNotContain("\n");
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '|',
            value = {
                "|\"rope_type\": \"longrope\", \"factor\": 2|, longrope",
                "|\"type\": \"su\"|, 'su'",
                "|\"type\": \"mrope\"|, 'mrope'",
                "|\"rope_type\": \"linear\"|, factor",
                "|\"rope_type\": \"linear\", \"factor\": 0|, factor",
                "|\"rope_type\": \"dynamic\", \"factor\": \"2\"|, factor",
                "|\"rope_type\": \"llama3\", \"factor\": 8, \"high_freq_factor\": 4|, low_freq_factor",
                "|\"rope_type\": \"default\", \"partial_rotary_factor\": 0.25|, partial_rotary_factor",
                "|\"rope_type\": \"yarn\", \"factor\": 2, \"beta_fast\": \"x\"|, beta_fast",
                "|\"rope_type\": \"yarn\", \"factor\": 2, \"original_max_position_embeddings\": 0|, original_max",
                "|\"full_attention\": {\"rope_type\": \"default\"}|, full_attention",
            })
    void rotaryParametersThatAreNotSupportedAreNamed(String parameters, String named) {
        assertThatThrownBy(() -> read("llama", "\"rope_parameters\": {" + parameters + "}"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(named)
                .hasMessageContaining("config.json");
    }

    @Test
    void layerTypesMustBeKnownAndComplete() {
        String used = "\"num_hidden_layers\": 2, \"use_sliding_window\": true, \"layer_types\": ";
        for (String types : List.of(
                "[\"full_attention\"]", "[\"full_attention\", \"linear_attention\"]", "[\"chunked_attention\", 3]")) {
            assertThatThrownBy(() -> read("qwen2", used + types))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("layer_types");
        }
    }

    @Test
    void missingFilesAreNamed() {
        assertThatThrownBy(() -> ConfigReader.read(folder.resolve("none")))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("none");
        assertThatThrownBy(() -> ConfigReader.read(folder))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("config.json");
    }

    @ParameterizedTest
    @EnumSource
    void whatIsWrittenReadsBackTheSame(Architecture architecture) {
        List<Integer> windows = switch (architecture) {
            case LLAMA -> List.of(0, 0);
            case MISTRAL -> List.of(5, 5);
            case QWEN2, QWEN3 -> List.of(5, 0);
        };
        for (List<Integer> layers : List.of(windows, List.of(0, 0))) {
            DecoderConfig config = TinyModels.config(architecture, architecture == Architecture.QWEN2, layers);
            ConfigWriter.write(folder.resolve("config.json"), config, DType.BF16);
            assertThat(ConfigReader.read(folder)).isEqualTo(config);
        }
        ObjectNode json = Json.readObject(folder.resolve("config.json"));
        assertThat(json.path("dtype").asText()).isEqualTo("bfloat16");
    }

    @Test
    void windowsThatAFamilyCannotExpressAreRefused() {
        DecoderConfig mixed = TinyModels.config(Architecture.MISTRAL, false, List.of(5, 0));
        assertThatThrownBy(() -> ConfigWriter.write(folder.resolve("config.json"), mixed, DType.F32))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("[5, 0]");
    }
}
