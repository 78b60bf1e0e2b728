package dev.graft.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.graft.common.InputException;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.model.Architecture;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.testing.TinyModels;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which weights a name means, as PEFT sees it. */
class ModulesToSaveTest {
    private static final DecoderConfig BIASED = TinyModels.config(Architecture.LLAMA);
    private static final DecoderConfig NORMED = TinyModels.config(Architecture.QWEN3);
    private static final DecoderConfig TIED = TinyModels.config(Architecture.QWEN2, true, List.of(0, 0));

    private static List<SavableWeight> select(DecoderConfig config, boolean keepTies, String... names) {
        return new ModulesToSave(List.of(names), keepTies).select(Decoder.savableWeights(config));
    }

    private static List<String> names(DecoderConfig config, String... names) {
        return select(config, false, names).stream().map(SavableWeight::name).toList();
    }

    @Test
    void namesMeanAllThatEndsInThem() {
        assertThat(names(BIASED, "lm_head")).containsExactly("lm_head.weight");
        assertThat(names(BIASED, "layers.1.self_attn.k_proj"))
                .containsExactly("model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.k_proj.bias");
        assertThat(names(BIASED, "model.norm")).containsExactly("model.norm.weight");
        assertThat(names(NORMED, "norm"))
                .as("letter by letter, as PEFT compares")
                .hasSize(9)
                .contains("model.norm.weight", "model.layers.0.input_layernorm.weight")
                .contains("model.layers.1.self_attn.q_norm.weight");
        assertThat(names(BIASED, "layers.1.mlp")).hasSize(6).allMatch(name -> name.contains("layers.1.mlp."));
        assertThat(names(BIASED)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"lm_heed", "layers", "weight", "rotary_emb"})
    void aNameThatMeansNothingStopsTheRun(String name) {
        ModulesToSave modules = new ModulesToSave(List.of("lm_head", name), false);
        assertThatThrownBy(() -> modules.requireFound(Decoder.savableWeights(TIED)))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'" + name + "'")
                .hasMessageContaining("embed_tokens, input_layernorm, q_proj")
                .hasMessageEndingWith("norm, lm_head");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "lm head", "lm_head,,norm", ".*norm"})
    void otherSpellingsAreRefused(String text) {
        assertThatThrownBy(() -> ModulesToSave.parse(text, false))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("modules to save")
                .hasMessageContaining("such as lm_head");
    }

    @Test
    void aModuleWithinAnotherIsRefused() {
        assertThatThrownBy(() -> names(BIASED, "mlp", "up_proj"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("model.layers.0.mlp.up_proj lies in model.layers.0.mlp");
    }

    @Test
    void tiesAreKeptWhereAskedFor() {
        assertThat(select(TIED, false, "lm_head"))
                .singleElement()
                .satisfies(weight -> assertThat(weight.tiedTo()).isNull());
        assertThat(names(TIED, "embed_tokens")).containsExactly("model.embed_tokens.weight");
        for (String either : List.of("lm_head", "embed_tokens")) {
            assertThat(select(TIED, true, either))
                    .extracting(SavableWeight::name, SavableWeight::tiedTo)
                    .containsExactly(
                            tuple("model.embed_tokens.weight", null),
                            tuple("lm_head.weight", "model.embed_tokens.weight"));
        }
        assertThat(select(TIED, true, "q_proj")).hasSize(4);
        assertThat(select(BIASED, true, "lm_head")).hasSize(1);
    }

    @Test
    void loraLeavesSavedModulesAlone() {
        LoraConfig config = LoraConfig.builder()
                .modulesToSave("layers.0.self_attn", "down_proj", "lm_head")
                .build();
        assertThat(TargetMatcher.match(config, Decoder.linearModules(BIASED)))
                .extracting(match -> match.module().name())
                .hasSize(4 + 4)
                .noneMatch(name -> name.contains("layers.0.self_attn") || name.endsWith("down_proj"));
        LoraConfig nothingLeft =
                LoraConfig.builder().targets("q_proj").modulesToSave("q_proj").build();
        assertThatThrownBy(() -> TargetMatcher.match(nothingLeft, Decoder.linearModules(BIASED)))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--modules-to-save");
    }

    /** PEFT compares names part by part there, and letter by letter here; it then fails to wrap its own layer. */
    @ParameterizedTest
    @CsvSource({"proj, q_proj, false", "embed_tokens, lm_head, true"})
    void aModuleThatIsAdaptedAllTheSameIsRefused(String saved, String target, boolean keepTies) {
        LoraConfig config = LoraConfig.builder()
                .targets(target)
                .modulesToSave(new ModulesToSave(List.of(saved), keepTies))
                .build();
        List<TargetMatcher.Match> matches = TargetMatcher.match(config, Decoder.linearModules(TIED));
        PlanningAllocator plan = new PlanningAllocator(new ReferenceEngine().bufferLayout());
        assertThatThrownBy(() ->
                        LoraAdapter.create(config, matches, Decoder.savableWeights(TIED), plan, Precision.F32, true))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(target + " is adapted and trained whole at once");
    }
}
