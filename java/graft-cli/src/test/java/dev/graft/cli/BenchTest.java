package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.Test;

class BenchTest {
    @Test
    void trainTellsSpeedAndMemory() {
        JsonNode json = Cli.run(
                        "bench train --json --shape smollm2-135m --batch 2 --seq 4 --rank 2 --steps 1 --warmup 0")
                .json();
        double tokensPerSecond = json.path("tokens_per_second").asDouble();
        assertThat(tokensPerSecond).isPositive();
        assertThat(json.path("step_ms").asDouble()).isCloseTo(8 / tokensPerSecond * 1e3, within(1e-6));
        assertThat(json.path("engine").asText()).isEqualTo("cpu");
        JsonNode peak = json.path("peak_rss_bytes");
        // 135 million numbers of two bytes, or nothing where the system does not tell
        assertThat(peak.isNull() || peak.asLong() > 2 * 134_000_000L).isTrue();
    }
}
