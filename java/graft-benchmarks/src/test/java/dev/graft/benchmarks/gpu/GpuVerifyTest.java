package dev.graft.benchmarks.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The verification itself, on the emulator. */
class GpuVerifyTest {
    @TempDir
    private Path folder;

    private int verify(Path out, String... more) {
        String[] arguments = {"--engine", "cuda-emulated", "--tiny", "--out", out.toString()};
        return GpuVerify.execute(
                Stream.of(arguments, more).flatMap(Arrays::stream).toArray(String[]::new));
    }

    @Test
    void everySectionPassesAndIsWritten() {
        assumeTrue(CudaLibraries.unavailableReason(CudaPlatform.EMULATED).isEmpty(), "no emulator in this build");
        Path out = folder.resolve("report.json");
        // the sections of two runs stand in one file
        assertThat(verify(out, "--sections", "environment,kernels,lora_linear", "--command", "test"))
                .isZero();
        assertThat(verify(
                        out,
                        "--sections",
                        "step,operations,growth,training,read_only,conformance",
                        "--tests",
                        "OfRope"))
                .isZero();
        JsonNode report = Json.read(out);
        assertThat(report.path("environment").path("command").asText()).isEqualTo("test");
        assertThat(report.path("environment").path("gpu").asText()).isEqualTo("Graft emulator");
        assertThat(report.path("kernels").path("kernels"))
                .hasSizeGreaterThan(10)
                .anyMatch(kernel -> kernel.path("op").asText().equals("attention_backward_wgmma"))
                .allSatisfy(kernel -> {
                    assertThat(kernel.path("ms").asDouble()).isPositive();
                    assertThat(kernel.path("floor_ms").asDouble()).isPositive();
                });
        assertThat(report.path("lora_linear").path("layers")).hasSize(11).allSatisfy(layer -> {
            boolean exact = layer.path("dtype").asText().equals("F32");
            for (String way : List.of("bordered", "overlapped", "plain")) {
                // far above rounding would be wrong, and exactly 0 no measurement
                assertThat(layer.path(way).path("errors"))
                        .hasSize(4)
                        .allSatisfy(error -> assertThat(error.asDouble()).isBetween(1e-9, exact ? 1e-6 : 5e-3));
            }
        });
        assertThat(report.path("step").path("steps")).hasSize(4).allSatisfy(step -> {
            double planned = step.path("plan_bytes").asDouble();
            assertThat(step.path("used_bytes").asDouble()).isBetween(planned, 1.05 * planned);
        });
        assertThat(report.path("read_only").path("granted").asBoolean()).isTrue();
        assertThat(report.path("read_only").path("enforced").asBoolean()).isTrue();
        // the emulator computes at once
        assertThat(report.path("operations").path("enqueue_ms").asDouble())
                .isGreaterThan(0.5 * report.path("operations").path("step_ms").asDouble());
        JsonNode operations = report.path("operations").path("operations");
        assertThat(operations).hasSizeGreaterThan(15);
        double largest = Double.POSITIVE_INFINITY;
        for (JsonNode operation : operations) {
            double gap = operation.path("gap_ms").asDouble();
            assertThat(gap).isLessThanOrEqualTo(largest);
            largest = gap;
            assertThat(operation.path("calls").asLong()).isPositive();
        }
        assertThat(report.path("growth").path("sweeps"))
                .hasSize(4)
                .allSatisfy(sweep -> assertThat(sweep.path("points")).hasSize(1).allSatisfy(point -> {
                    double planned = point.path("run").path("plan_bytes").asDouble();
                    assertThat(point.path("run").path("used_bytes").asDouble()).isBetween(planned, 1.05 * planned);
                }));
        assertThat(report.path("training").path("outcomes")).hasSize(2);
        assertThat(report.path("conformance").path("succeeded").asInt()).isPositive();
    }

    @Test
    void aSectionThatFailsIsNoted() {
        Path out = folder.resolve("report.json");
        assertThat(verify(out, "--sections", "pytorch", "--failed", "kernels=it hung"))
                .isEqualTo(3);
        JsonNode report = Json.read(out);
        assertThat(report.path("pytorch").path("error").asText()).contains("--pytorch FILE");
        assertThat(report.path("kernels").path("error").asText()).isEqualTo("it hung");
        assertThat(verify(out, "--sections", "none", "--table")).isEqualTo(3);
    }

    @Test
    void wrongOptionsWriteNothing() {
        Path out = folder.resolve("report.json");
        assertThat(verify(out, "--sections", "kernel")).isEqualTo(2);
        assertThat(GpuVerify.execute("--engine", "cpu", "--out", out.toString()))
                .isEqualTo(2);
        assertThat(GpuVerify.execute("--engine", "cuda")).isEqualTo(2);
        assertThat(Files.exists(out)).isFalse();
    }

    @Test
    void ratiosOfWhatBothMeasured() {
        JsonNode report = Json.parse("""
                {"lora_linear": {"layers": [
                   {"shape": "o", "dtype": "BF16", "rank": 16,
                    "frozen": {"forward": {"ms": 1}, "backward": {"ms": 2}},
                    "bordered": {"forward": {"ms": 2}, "backward": {"ms": 4}}},
                   {"shape": "o", "dtype": "BF16", "rank": 64}]},
                 "kernels": {"kernels": [{"op": "attention_forward", "ms": 2},
                                         {"op": "attention_forward_wgmma", "ms": 0.5}]},
                 "step": {"steps": [{"shape": "s", "batch": 2, "seq": 8, "rank": 16, "border": 64,
                                     "tokens_per_second": 300, "used_bytes": 10}]},
                 "pytorch": {
                   "lora_linear": [{"shape": "o", "dtype": "BF16", "rank": 16,
                     "frozen": {"forward": {"ms": 1}, "backward": {"ms": 1}},
                     "peft": {"forward": {"ms": 3}, "backward": {"ms": 5}}}],
                   "attention": {"forward": {"ms": 1}},
                   "step": [{"shape": "s", "batch": 2, "seq": 8, "left_out": "out of memory"},
                            {"shape": "s", "batch": 1, "seq": 8, "rank": 16, "tokens_per_second": 100, "peak_bytes": 40}]}}
                """, "test");
        Ratios ratios = Ratios.of(report);
        assertThat(ratios.loraLinear()).hasSize(1);
        Ratios.Layer layer = ratios.loraLinear().getFirst();
        assertThat(layer.frozen()).isEqualTo(new Ratios.Passes(1.0, 0.5));
        assertThat(layer.against()).containsOnlyKeys("peft").containsEntry("peft", new Ratios.Passes(1.5, 1.25));
        assertThat(ratios.attention()).isEqualTo(new Ratios.Passes(0.5, null));
        assertThat(ratios.attentionWgmma()).isEqualTo(new Ratios.Passes(2.0, null));
        // memory is not compared where the batches differ
        assertThat(ratios.step()).containsExactly(new Ratios.Step("s", "2 x 8", "1 x 8", 64, false, false, 3.0, null));
    }
}
