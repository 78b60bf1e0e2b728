package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Architecture;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.testing.TinyModels;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MethodTest {
    private static final DecoderConfig MODEL = TinyModels.config(Architecture.LLAMA);

    private static Method.Lora lora(LoraConfig.Builder builder) {
        LoraConfig config = builder.build();
        return new Method.Lora(config, TargetMatcher.match(config, Decoder.linearModules(MODEL)));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "all-linear; 15",
                "q_proj,v_proj,down_proj; 10",
                "gate_proj,up_proj,k_proj; 10",
                "o_proj,down_proj,lm_head; 5"
            })
    void adaptersOfOneInputShareIt(String targets, int ranks) {
        assertThat(lora(LoraConfig.builder().rank(5).targets(targets)).sharedRanks())
                .isEqualTo(ranks);
    }

    @Test
    void theLayerWithTheHighestRanksCounts() {
        LoraConfig.Builder builder = LoraConfig.builder()
                .rank(5)
                .targets("q_proj,k_proj,down_proj")
                .rankPattern(Map.of("layers.1.self_attn.k_proj", 9));
        assertThat(lora(builder).sharedRanks()).isEqualTo(14);
        assertThat(new Method.JointLora(lora(builder), 3).sharedRanks()).isEqualTo(42);
        assertThat(new Method.Full().sharedRanks()).isZero();
    }
}
