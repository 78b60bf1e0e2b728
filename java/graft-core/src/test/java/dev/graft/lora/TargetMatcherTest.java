package dev.graft.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** PEFT's matching rules, and what goes beyond them. */
class TargetMatcherTest {
    private static final List<LinearModule> MODULES = modules();

    private static List<LinearModule> modules() {
        List<LinearModule> modules = new ArrayList<>();
        for (int layer = 0; layer < 12; layer++) {
            for (String name : List.of("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj", "mlp.down_proj")) {
                modules.add(new LinearModule("model.layers." + layer + "." + name, 8, 8, false));
            }
        }
        modules.add(new LinearModule("lm_head", 8, 8, true));
        return modules;
    }

    private static List<String> names(LoraConfig.Builder config) {
        return TargetMatcher.match(config.build(), MODULES).stream()
                .map(match -> match.module().name())
                .toList();
    }

    private static LoraConfig.Builder targets(String pattern) {
        return LoraConfig.builder().targets(pattern);
    }

    @Test
    void allLinearLeavesTheHeadOut() {
        assertThat(names(targets("all-linear"))).hasSize(48).doesNotContain("lm_head");
        assertThat(names(targets("all-linear").exclude(ModulePattern.parse("lm_head"))))
                .hasSize(48);
        assertThat(names(targets("lm_head"))).containsExactly("lm_head");
    }

    @Test
    void suffixesEndAtADot() {
        assertThat(names(targets("layers.1.self_attn.q_proj")))
                .as("layers.11 ends in another suffix")
                .containsExactly("model.layers.1.self_attn.q_proj");
        assertThat(names(targets("model.layers.1.mlp.up_proj"))).hasSize(1);
        assertThat(names(targets("q_proj,v_proj"))).hasSize(24).doesNotContain("lm_head");
    }

    @Test
    void expressionsMatchWholeNames() {
        assertThat(names(targets("model\\.layers\\.\\d\\.mlp\\.(up|down)_proj")))
                .hasSize(20);
        assertThat(names(targets(".*_head"))).containsExactly("lm_head");
        assertThatThrownBy(() -> names(targets("q_proj|v_proj")))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("q_proj|v_proj")
                .hasMessageContaining("model.layers.0.self_attn.q_proj");
    }

    @Test
    void excludedModulesGoFirst() {
        assertThat(names(targets("q_proj,up_proj").exclude(ModulePattern.parse("layers.0.self_attn.q_proj,up_proj"))))
                .hasSize(11)
                .allMatch(name -> name.endsWith("q_proj"));
        assertThat(names(targets("q_proj").exclude(ModulePattern.parse(".*layers\\.\\d\\..*"))))
                .containsExactly("model.layers.10.self_attn.q_proj", "model.layers.11.self_attn.q_proj");
        assertThatThrownBy(() -> names(targets("q_proj").exclude(ModulePattern.parse("q_proj"))))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--exclude");
    }

    @ParameterizedTest
    @CsvSource({
        "'q_proj,v_porj', v_porj, did you mean 'v_proj'?",
        "'query', query, 'it has q_proj'",
        "'layers.12.mlp.up_proj', layers.12.mlp.up_proj, did you mean 'layers.1",
        "'self_attn.q_prj', self_attn.q_prj, did you mean 'self_attn.q_proj'?",
    })
    void aTargetThatMatchesNothingStopsTheRunWithNearMisses(String targets, String named, String hint) {
        assertThatThrownBy(() -> names(targets(targets)))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'" + named + "'")
                .hasMessageContaining(hint);
    }

    @Test
    void anExcludePatternThatMatchesNothingStopsTheRunToo() {
        assertThatThrownBy(() -> names(targets("all-linear").exclude(ModulePattern.parse("gate_proj"))))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("excluded module 'gate_proj'");
    }

    @Test
    void theFirstKeyThatMatchesGivesRankAndAlpha() {
        Map<String, Integer> ranks = new LinkedHashMap<>();
        ranks.put("v_proj", 2);
        ranks.put("layers\\.1\\.self_attn\\.v_proj", 3);
        ranks.put("^model.layers.0.mlp.down_proj", 5);
        LoraConfig config = targets("all-linear")
                .rank(4)
                .alpha(8)
                .rankPattern(ranks)
                .alphaPattern(Map.of("layers\\.1?1\\..*", 20.0))
                .build();
        Map<String, TargetMatcher.Match> matches = new LinkedHashMap<>();
        TargetMatcher.match(config, MODULES)
                .forEach(match -> matches.put(match.module().name(), match));
        assertThat(matches.get("model.layers.1.self_attn.v_proj").rank()).isEqualTo(2);
        assertThat(matches.get("model.layers.0.mlp.down_proj").rank()).isEqualTo(5);
        assertThat(matches.get("model.layers.10.mlp.down_proj").rank()).isEqualTo(4);
        assertThat(matches.get("model.layers.1.mlp.up_proj").alpha()).isEqualTo(20);
        assertThat(matches.get("model.layers.11.mlp.up_proj").alpha()).isEqualTo(20);
        assertThat(matches.get("model.layers.2.mlp.up_proj").alpha()).isEqualTo(8);
    }

    @Test
    void aKeyThatMatchesNoAdaptedModuleStopsTheRun() {
        assertThatThrownBy(() -> names(targets("q_proj").rankPattern(Map.of("v_proj", 2))))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'v_proj'");
        assertThatThrownBy(() -> names(targets("q_proj").alphaPattern(Map.of("proj", 2.0))))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'proj'");
    }

    @Test
    void savedConfigurationsMayHavePatternsThatMatchNothing() {
        LoraConfig config = targets("q_proj,query_key_value").build();
        assertThat(TargetMatcher.select(config, MODULES)).hasSize(12);
    }

    @Test
    void patternsKeepTheirMeaningWhenAFileSortsTheirKeys() {
        Map<String, Integer> safe = Map.of("q_proj", 2, "v_proj", 3);
        List<String> names = List.of("m.layers.0.q_proj", "m.layers.1.q_proj", "m.layers.1.v_proj");
        assertThat(TargetMatcher.sortable(safe, names)).isSameAs(safe);
        Map<String, Integer> ordered = new LinkedHashMap<>();
        ordered.put("q_proj", 2);
        ordered.put("layers.1.q_proj", 7);
        assertThat(TargetMatcher.sortable(ordered, names))
                .isEqualTo(Map.of("^m\\.layers\\.0\\.q_proj", 2, "^m\\.layers\\.1\\.q_proj", 2));
    }
}
