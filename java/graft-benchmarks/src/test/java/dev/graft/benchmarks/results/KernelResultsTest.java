package dev.graft.benchmarks.results;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import java.util.List;
import org.junit.jupiter.api.Test;

class KernelResultsTest {
    @Test
    void layersAreMultiplesOfTheFrozenOne() {
        Section section = Samples.sections("kernels.json").get(1);
        assertThat(section.heading()).isEqualTo("LoraLinear, engine cpu, precision F32");
        assertThat(section.table().lines())
                .containsExactly(
                        "| rows | pass | frozen | lora-16 | merged |",
                        "|---|---|---|---|---|",
                        "| 128 | forward | 1.28 ms, 200 GFLOP/s | 1.050 | 1.001 |",
                        "| 1024 | forward | 10.2 ms, 200 GFLOP/s | 1.050 | 1.001 |",
                        "| 128 | backward | 2.56 ms, 100 GFLOP/s | 1.050 | 1.001 |",
                        "| 1024 | backward | 20.5 ms, 100 GFLOP/s | 1.050 | 1.001 |");
        assertThat(section.notes())
                .containsExactly(
                        "2026-01-02, A processor, 2 processors, `scripts/bench-kernels`, `kernels.json`; medians, "
                                + "iterations spread by 22 % (median of the table, at most 22 %)");
    }

    @Test
    void methodsAreColumnsAndBytesBindWhereThereAreNoProducts() {
        Section section = Samples.sections("kernels.json").getFirst();
        assertThat(section.heading()).isEqualTo("CrossEntropy, engine cpu");
        assertThat(section.table().lines())
                .contains(
                        "| vocabulary | loss | lossAndGradient |",
                        "| 49152 | 2.00 ms, 20.0 GB/s | 4.00 ms, 20.0 GB/s |",
                        "| 151936 | 6.00 ms, 20.0 GB/s |  |");
    }

    @Test
    void withoutTheFrozenLayerThereAreTimes() {
        ResultFile file = Samples.file("a.json", Samples.text("kernels.json").replace("\"frozen\"", "\"lora-4\""));
        assertThat(new KernelResults().sections(List.of(file)).get(1).table().lines())
                .contains(
                        "| layer | rows | forward | backward |",
                        "| lora-16 | 128 | 1.34 ms, 190 GFLOP/s | 2.69 ms, 95.2 GFLOP/s |");
    }

    @Test
    void jmhsOwnFileInAnyUnit() {
        Section section = Samples.sections("jmh.json").getFirst();
        assertThat(section.heading()).isEqualTo("Safetensors, model m");
        assertThat(section.table().lines()).containsExactly("| open |", "|---|", "| 1.50 ms |");
    }

    @Test
    void otherModesAndMissingFieldsAreNamed() {
        ResultFile throughput = Samples.file("a.json", Samples.text("jmh.json").replace("ms/op", "ops/ms"));
        assertThatThrownBy(() -> new KernelResults().sections(List.of(throughput)))
                .isInstanceOf(InputException.class)
                .hasMessage("a.json: times in ops/ms; run scripts/bench-kernels without -bm and -tu");
        ResultFile incomplete = Samples.file("b.json", Samples.text("jmh.json").replace("primaryMetric", "metric"));
        assertThatThrownBy(() -> new KernelResults().sections(List.of(incomplete)))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("b.json")
                .hasMessageContaining("primaryMetric");
    }
}
