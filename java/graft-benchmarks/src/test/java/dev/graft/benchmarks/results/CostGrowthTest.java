package dev.graft.benchmarks.results;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class CostGrowthTest {
    @Test
    void whatDoesNotFitKeepsItsRowAndSaysWhy() {
        Section section = Samples.sections("cost-growth.json").getFirst();
        assertThat(section.heading()).isEqualTo("Cost of a LoRA step against sequence length, batch 1, tiny, f32");
        assertThat(section.table().lines())
                .containsExactly(
                        "| sequence length | batch x tokens | rank | tokens/s | a step | peak memory |",
                        "|---|---|---|---|---|---|",
                        "| 256 | 1 x 256 | 16 | 512 | 500 ms | 1.00 GiB |",
                        "| 512 | 1 x 512 | 16 | 256 | 2.00 s | 1.00 GiB |",
                        "| 1024 | – | – | – | – | – |");
        assertThat(section.notes())
                .containsExactly(
                        "1024: this run needs 9.00 GiB and 8.00 GiB are available",
                        "2026-01-02, A processor, `scripts/cost-growth`, `cost-growth.json`");
    }

    @Test
    void plotOfSpeedAndMemory() {
        Plot plot = Samples.plots("cost-growth.json").getFirst();
        assertThat(plot.name()).isEqualTo("cost-growth-seq");
        assertThat(plot.categories()).containsExactly("256", "512", "1024");
        assertThat(plot.axes())
                .extracting(axis -> axis.series().getFirst().values())
                .containsExactly(List.of(512.0, 256.0, Double.NaN), List.of(1.0, 1.0, Double.NaN));
    }
}
