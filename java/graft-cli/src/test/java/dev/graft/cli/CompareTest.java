package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.io.Json;
import dev.graft.train.ParityCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code graft compare}, typed as commands; what the figures are is the README's matter, that they are figures is this one's. */
class CompareTest {
    @TempDir
    private Path folder;

    @Test
    void comparesOnAGeneratedTaskFromALearnedStartToo() throws IOException {
        Path out = folder.resolve("comparison");
        JsonNode result = Cli.run(
                        "compare --json --quick --methods lora,full,meta-lora --steps 3 --shots 4 --ranks 4 --meta-steps 1 --out",
                        out)
                .json();

        List<String> methods = new ArrayList<>();
        for (JsonNode row : result.path("rows")) {
            methods.add(row.path("method").asText());
            assertThat(row.path("score_mean").asDouble()).isBetween(0.0, 100.0);
            assertThat(row.path("forgetting").asDouble()).isPositive();
            assertThat(row.path("token_ms_separate").asDouble()).isPositive();
            if (!row.path("method").asText().equals("base")) {
                assertThat(row.path("shots").asInt()).isEqualTo(4);
                assertThat(row.path("trainable_share").asDouble())
                        .isGreaterThan(0)
                        .isLessThanOrEqualTo(1);
                assertThat(row.path("bytes_per_task").asLong()).isPositive();
                assertThat(row.path("step_ms").asDouble()).isPositive();
                assertThat(row.path("peak_bytes").asLong()).isPositive();
            }
        }
        assertThat(methods).containsExactly("base", "lora", "full", "meta-lora");
        assertThat(claim(result, "exactly at the pre-trained").path("verdict").asText())
                .isEqualTo("holds");
        assertThat(claim(result, "small file").path("verdict").asText()).isEqualTo("holds");

        JsonNode written = Json.read(out.resolve("compare.json"));
        assertThat(written.path("rows")).hasSameSizeAs(result.path("rows"));
        assertThat(written.path("command").asText()).contains("compare --json --quick");
        assertThat(Files.readAllLines(out.resolve("compare.csv"))).hasSize(methods.size() + 1);
        String html = Files.readString(out.resolve("report.html"));
        assertThat(html)
                .contains("extract/")
                .contains("data:image/png;base64,")
                .doesNotContain("src=\"http")
                .doesNotContain("href=");
        for (String plot : List.of("quality-by-share.png", "forgetting.png", "token-time.png")) {
            assertThat(ImageIO.read(out.resolve(plot).toFile()).getWidth()).isGreaterThan(500);
        }
        assertThat(Cli.run("compare --quick --out", out).complaint()).contains("already holds a comparison");
    }

    private static JsonNode claim(JsonNode result, String words) {
        for (JsonNode claim : result.path("claims")) {
            if (claim.path("claim").asText().contains(words)) {
                return claim;
            }
        }
        throw new AssertionError("no claim of " + words + " in " + result.path("claims"));
    }

    @Test
    void comparesOnTheUsersOwnRows() {
        ParityCase parity = ParityCase.named("llama_basic");
        Cli.Outcome outcome = Cli.run(
                        "compare --quick --precision f32 --methods lora,dora,full,adapter --ranks 2 --shots 2,4 --steps 4 --seeds 2",
                        "--model",
                        parity.model(),
                        "--data",
                        Cli.data(parity),
                        "--eval-data",
                        Cli.data(parity),
                        "--base-data",
                        Cli.data(parity),
                        "--out",
                        folder.resolve("own"))
                .ok();
        assertThat(outcome.out())
                .contains("lora r2", "dora r2", "full", "adapter")
                .doesNotContain("right %")
                .contains("report  ");
        JsonNode rows = Json.read(folder.resolve("own/compare.json")).path("rows");
        assertThat(rows).hasSize(9);
        assertThat(rows.get(0).path("loss_mean").asDouble()).isCloseTo(parity.number("base_eval_loss"), within(1e-3));
        assertThat(rows.get(1).path("score_mean").isNull()).isTrue();
        assertThat(rows.get(1).path("loss_std").asDouble()).as("two seeds").isPositive();
    }

    @Test
    void badInputIsNamed() {
        Path out = folder.resolve("out");
        assertThat(Cli.run("compare --methods lora,prefix --out", out).complaint())
                .contains("prefix")
                .contains("meta-lora");
        assertThat(Cli.run("compare --ranks 0 --out", out).complaint()).contains("--ranks");
        assertThat(Cli.run("compare --lrs lore=1 --out", out).complaint()).contains("--lrs lore");
        assertThat(Cli.run("compare --task extract/x --out", out).complaint()).contains("'x' is no number");
        assertThat(Cli.run("compare --task dance --out", out).complaint()).contains("dance");
        assertThat(Cli.run("compare --data", Cli.data(ParityCase.named("llama_basic")), "--out", out)
                        .complaint())
                .contains("--model");
        ParityCase parity = ParityCase.named("llama_basic");
        assertThat(Cli.run("compare --model", parity.model(), "--out", out).complaint())
                .contains("--data")
                .contains("--eval-data");
        assertThat(Cli.run(
                                "compare --shots 4000 --model",
                                parity.model(),
                                "--data",
                                Cli.data(parity),
                                "--eval-data",
                                Cli.data(parity),
                                "--out",
                                out)
                        .complaint())
                .contains("--shots 4000");
    }
}
