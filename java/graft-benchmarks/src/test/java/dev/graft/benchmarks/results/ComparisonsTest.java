package dev.graft.benchmarks.results;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import java.util.List;
import org.junit.jupiter.api.Test;

class ComparisonsTest {
    @Test
    void stepsOfAllFilesShareATable() {
        ResultFile one = Samples.file("compare-pytorch.json");
        ResultFile other =
                Samples.file("bf16.json", Samples.text("compare-pytorch.json").replace("f32", "bf16"));
        List<Section> sections = new PytorchComparison().sections(List.of(one, other));
        assertThat(sections).hasSize(1);
        assertThat(sections.getFirst().table().lines())
                .contains(
                        "| tiny | f32 | 360 tokens/s | 300 tokens/s | 1.20 (1.10–1.30) | 1.00 GiB | 4.00 GiB | 0.25 |",
                        "| tiny | bf16 | 360 tokens/s | 300 tokens/s | 1.20 (1.10–1.30) | 1.00 GiB | 4.00 GiB | 0.25 |");
        assertThat(sections.getFirst().notes().getFirst())
                .isEqualTo("2026-01-02, A processor, `scripts/compare-pytorch --shape tiny --precision f32`, "
                        + "`compare-pytorch.json`, PyTorch 2.13, 2 threads");
    }

    @Test
    void generation() {
        Section section = Samples.sections("compare-generate.json").getFirst();
        assertThat(section.heading()).isEqualTo("Greedy generation, tiny, batch 1, 64 tokens of prompt, 128 new ones");
        assertThat(section.table().lines())
                .contains(
                        "| base + adapter | bf16 | 40.0 tokens/s | 20.0 tokens/s | 2.00 | 20.0 ms | 50.0 ms "
                                + "| 2.50 (2.40–2.60) | 6.00 s | 9.00 s | 1.50 (1.40–1.60) | 0.50 GiB | 0.50 GiB | 97 of 128 |");
        assertThat(section.notes().getFirst()).contains("PyTorch 2.13, transformers 5.18, PEFT 0.21, 2 threads");
    }

    @Test
    void plotsPutGraftBesideTheOther() {
        Plot plot = Samples.plots("compare-generate.json").getFirst();
        assertThat(plot.categories()).containsExactly("base + adapter, bf16");
        assertThat(plot.axes().getFirst().series())
                .containsExactly(
                        new Plot.Series("Graft", List.of(40.0)), new Plot.Series("transformers", List.of(20.0)));
        assertThat(Samples.plots("compare-pytorch.json").getFirst().categories())
                .containsExactly("tiny, f32");
    }

    @Test
    void aTextInTheRoomOfANumberIsNamed() {
        ResultFile file =
                Samples.file("a.json", Samples.text("compare-pytorch.json").replace("360.4", "\"fast\""));
        assertThatThrownBy(() -> new PytorchComparison().sections(List.of(file)))
                .isInstanceOf(InputException.class)
                .hasMessage(
                        "a.json: \"tokens_per_second\" is \"fast\", not a number; measure again with the same script");
    }
}
