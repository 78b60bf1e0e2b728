package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.Test;

class DevicesTest {
    @Test
    void everyEngineSaysWhatItIsOrWhyItCannotBeUsed() {
        JsonNode json = Cli.run("devices --json").json();
        assertThat(json.path("engines").findValuesAsText("name"))
                .containsExactlyInAnyOrder("cuda", "cpu", "cuda-emulated");
        for (JsonNode engine : json.path("engines")) {
            boolean usable = engine.path("usable").asBoolean();
            assertThat(engine.path(usable ? "description" : "reason").asText())
                    .as(engine.toString())
                    .isNotBlank()
                    .doesNotContain("\n");
        }
        assertThat(json.path("auto").asText()).isIn("cpu", "cuda");
    }

    @Test
    void theTableNamesTheEngineThatAutoTakes() {
        Cli.Outcome outcome = Cli.run("devices").ok();
        assertThat(outcome.out().lines()).hasSize(4);
        assertThat(outcome.out()).containsPattern("cpu +yes +").containsPattern("--engine auto takes (cpu|cuda)");
    }
}
