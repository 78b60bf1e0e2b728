package dev.graft.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a user may ask for, and how patterns are read. */
class LoraConfigTest {
    static Stream<Arguments> faults() {
        return Stream.of(
                fault(config -> config.rank(0), "--rank 0"),
                fault(config -> config.rank(-3), "--rank -3"),
                fault(config -> config.alpha(0), "--alpha 0.0"),
                fault(config -> config.alpha(Double.NaN), "--alpha NaN"),
                fault(config -> config.alpha(Double.POSITIVE_INFINITY), "--alpha Infinity"),
                fault(config -> config.dropout(1), "--dropout 1.0"),
                fault(config -> config.dropout(-0.1), "--dropout -0.1"),
                fault(config -> config.dropout(Double.NaN), "--dropout NaN"),
                fault(config -> config.rankPattern(Map.of("q_proj", 0)), "rank_pattern q_proj: 0"),
                fault(config -> config.alphaPattern(Map.of("q_proj", -1.0)), "alpha_pattern q_proj: -1.0"),
                fault(config -> config.rankPattern(Map.of("q_proj(", 4)), "rank_pattern 'q_proj('"),
                fault(config -> config.alphaPattern(Map.of("[", 4.0)), "alpha_pattern '['"),
                fault(
                        config -> config.init(AdapterInit.PISSA).rsLora(true).rankPattern(Map.of("q_proj", 4)),
                        "--init pissa with --rslora and --rank-pattern"),
                fault(
                        config -> config.init(AdapterInit.OLORA).rsLora(true).alphaPattern(Map.of("q_proj", 4.0)),
                        "--init olora with --rslora"),
                fault(config -> config.targets("*.q_proj"), "'*.q_proj' is no regular expression"),
                fault(config -> config.targets(" "), "no target modules"),
                fault(config -> config.targets(new ModulePattern.Suffixes(List.of())), "empty"));
    }

    private static Arguments fault(Consumer<LoraConfig.Builder> change, String message) {
        return Arguments.of(change, message);
    }

    @ParameterizedTest
    @MethodSource("faults")
    void faultsAreNamedOnOneLine(Consumer<LoraConfig.Builder> change, String message) {
        assertThatThrownBy(() -> {
                    LoraConfig.Builder builder = LoraConfig.builder();
                    change.accept(builder);
                    builder.build();
                })
                .isInstanceOf(InputException.class)
                .hasMessageContaining(message)
                .message()
                .doesNotContain("\n");
    }

    @ParameterizedTest
    @CsvSource({
        "16, 32, false, 2",
        "8, 4, false, 0.5",
        "16, 32, true, 8",
        "3, 7, false, 2.3333333",
        "5, 1, true, 0.4472136"
    })
    void scaleIsAlphaOverRankOrItsRoot(int rank, double alpha, boolean rsLora, float scale) {
        LoraConfig config = LoraConfig.builder().rsLora(rsLora).build();
        assertThat(config.scale(rank, alpha)).isEqualTo(scale);
    }

    @ParameterizedTest
    @ValueSource(strings = {"q_proj,v_proj", "q_proj, v_proj", " q_proj ,v_proj "})
    void commaListsAreSuffixes(String text) {
        assertThat(ModulePattern.parse(text)).isEqualTo(new ModulePattern.Suffixes(List.of("q_proj", "v_proj")));
    }

    @Test
    void otherFormsOfTargets() {
        assertThat(ModulePattern.parse("all-linear")).isEqualTo(new ModulePattern.AllLinear());
        assertThat(ModulePattern.parse("q_proj")).isEqualTo(new ModulePattern.Suffixes(List.of("q_proj")));
        assertThat(ModulePattern.parse("layers.0.mlp.up_proj"))
                .isEqualTo(new ModulePattern.Suffixes(List.of("layers.0.mlp.up_proj")));
        for (String expression :
                List.of(".*q_proj", "q_proj|v_proj", "model\\.layers\\.\\d{1,2}\\..*", ".*\\.[qk]_proj")) {
            assertThat(ModulePattern.parse(expression)).isEqualTo(new ModulePattern.Regex(expression));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gaussian", "kaiming", "pissa", "pissa_niter_0", "pissa_niter_16", "olora"})
    void initIsReadByName(String name) {
        assertThat(AdapterInit.parse(name)).hasToString(name);
        assertThat(AdapterInit.parse(name).changesBase()).isEqualTo(!name.matches("gaussian|kaiming"));
        assertThatThrownBy(() -> AdapterInit.parse(name + "x"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("use gaussian, kaiming, pissa");
    }

    @ParameterizedTest
    @CsvSource({"false, 7, 14", "true, 7, 9.899494936611665"})
    void plainLoraOfTwiceTheRankHasTheSameScales(boolean rsLora, double alpha, double plainAlpha) {
        LoraConfig config = LoraConfig.builder()
                .rank(3)
                .alpha(alpha)
                .rsLora(rsLora)
                .init(AdapterInit.OLORA)
                .build();
        LoraConfig plain = config.asPlain();
        assertThat(plain.rank()).isEqualTo(6);
        assertThat(plain.alpha()).isEqualTo(plainAlpha);
        assertThat(plain.scale(6, plain.alpha())).isEqualTo(config.scale(3, alpha));
        assertThat(plain.init()).isEqualTo(AdapterInit.KAIMING);
    }
}
