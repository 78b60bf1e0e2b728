package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The embedded base model: what the quickstart promises, and that bf16 trains as float32 does. */
class QuickstartTest {
    private static final int STEPS = 24;

    @TempDir
    Path folder;

    @Test
    void baseFailsAdapterSucceedsAndNothingFrozenChanges() throws IOException {
        JsonNode result = Cli.run("quickstart --json --out", folder).json();

        assertThat(result.path("exact_match_before").asDouble()).isZero();
        assertThat(result.path("exact_match_after").asDouble()).isGreaterThanOrEqualTo(90);
        assertThat(result.path("exact_match_merged").asDouble()).isGreaterThanOrEqualTo(90);
        assertThat(result.path("base_intact").asBoolean()).isTrue();
        assertThat(result.path("frozen_fingerprint_after").asText())
                .isEqualTo(result.path("frozen_fingerprint_before").asText());
        assertThat(result.path("perplexity_after_adapter_off").asDouble())
                .isEqualTo(result.path("perplexity_before").asDouble());
        assertThat(result.path("merged_loss").asDouble())
                .isCloseTo(result.path("adapted_loss").asDouble(), withinPercentage(2));
        assertThat(result.path("model_bytes").asLong()).isLessThan(8_000_000);
        assertThat(Files.readAllBytes(folder.resolve("loss.png"))).startsWith(0x89, 'P', 'N', 'G');
        trainsAlikeInBothPrecisions();
    }

    /** On the quickstart's own data: every step's loss within 2 %. */
    private void trainsAlikeInBothPrecisions() {
        List<Double> f32 = losses("f32");
        List<Double> bf16 = losses("bf16");
        assertThat(f32).hasSize(STEPS);
        for (int i = 0; i < STEPS; i++) {
            assertThat(bf16.get(i)).as("loss of step " + (i + 1)).isCloseTo(f32.get(i), withinPercentage(2));
        }
    }

    private List<Double> losses(String precision) {
        Path out = folder.resolve(precision);
        Cli.run(
                        "train --batch-size 8 --rank 8 --lr 1e-3 --steps",
                        STEPS,
                        "--precision",
                        precision,
                        "--model",
                        folder.resolve("base"),
                        "--data",
                        folder.resolve("train.jsonl"),
                        "--out",
                        out)
                .ok();
        return Cli.metrics(out, "loss").stream()
                .map(row -> row.path("loss").asDouble())
                .toList();
    }
}
