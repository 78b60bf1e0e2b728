package dev.graft.benchmarks.results;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class GpuResultsTest {
    @Test
    void aTableForEachSection() {
        List<Section> sections = Samples.sections("gpu.json");
        assertThat(sections)
                .extracting(section -> section.table().lines().getLast())
                .containsExactly(
                        "| llama3.1-8b | 2 x 4096 | 16 | 64 | no | no | 17000 | 482 ms | 500 | 42.00 GiB |",
                        "| o | BF16 | 16 | 8192 | backward | 352 µs, 700 TFLOP/s | 1.010 | 1.080 | 1.040 | 1.307 |",
                        "| attentionBackward | 4 | 6.00 ms | 2.00 ms | 4.00 ms | 10.0 % |",
                        "| attention_forward | 2 x 4096 | 1.50 ms | 400 TFLOP/s | 50.0 % |",
                        "| o | BF16 | 16 | 1.00 / 1.01 | 1.31 / 1.40 | - / - | 1.14 / - |",
                        "| llama3.1-8b | 2 x 4096 | 1 x 4096 | 64 | no | no | 1.36 | - |",
                        "| llama3.1-70b | – | – | – | – | – |");
    }

    @Test
    void whatFailedIsSaidBelowEveryTable() {
        for (Section section : Samples.sections("gpu.json")) {
            assertThat(section.notes())
                    .endsWith(
                            "2026-01-02, A GPU (sm_90), driver CUDA 13.0, cuBLAS 12.6, `scripts/gpu-verify`, `gpu.json`",
                            "conformance did not pass",
                            "training failed: out of memory");
        }
    }

    @Test
    void growthIsPlottedWithWhatTheDeviceHeld() {
        Plot plot = Samples.plots("gpu.json").getFirst();
        assertThat(plot.name()).isEqualTo("gpu-shape");
        assertThat(plot.title()).isEqualTo("Cost of a LoRA step against model, bf16, on A GPU");
        assertThat(plot.axes())
                .extracting(axis -> axis.series().getFirst().values())
                .containsExactly(List.of(16000.0, Double.NaN), List.of(30.0, Double.NaN));
    }

    @Test
    void sectionsThatWereNotMeasuredHaveNoTable() {
        ResultFile file = Samples.file("a.json", "{\"environment\": {\"gpu\": \"A GPU\"}}");
        assertThat(Samples.kind(file).sections(List.of(file))).isEmpty();
    }
}
