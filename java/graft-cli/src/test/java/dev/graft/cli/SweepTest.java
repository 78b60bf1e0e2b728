package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.train.ParityCase;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SweepTest {
    private static final ParityCase CASE = ParityCase.named("qwen2");

    @TempDir
    Path folder;

    private Cli.Outcome sweep(Object... more) {
        return Cli.run(Stream.concat(
                        Stream.of(
                                "sweep --precision f32 --steps 6 --batch-size 2 --no-shuffle --model",
                                CASE.model(),
                                "--data",
                                Cli.data(CASE),
                                "--eval-data",
                                Cli.data(CASE),
                                "--out",
                                folder.resolve("best")),
                        Stream.of(more))
                .toArray());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 6})
    void everyPointEndsWhereItsOwnRunWouldHave(int atOnce) {
        JsonNode json = sweep("--json --compare-alone --ranks 2,5 --lrs 1e-3,1e-2,3e-3 --at-once", atOnce)
                .json();
        assertThat(json.path("rows")).hasSize(6);
        assertThat(json.path("largest_loss_difference").asDouble()).isLessThan(1e-5);
        assertThat(json.path("ratio").asDouble()).isPositive();
        List<Double> losses = json.path("rows")
                .valueStream()
                .map(row -> row.path("eval_loss").asDouble())
                .toList();
        assertThat(losses).isSorted();
        assertThat(json.path("rows").get(0).path("name").asText())
                .isEqualTo(json.path("best").asText());
        // alpha keeps its proportion to the rank
        assertThat(json.path("rows")
                        .valueStream()
                        .map(row ->
                                row.path("alpha").asDouble() / row.path("rank").asInt()))
                .containsOnly(2.0);
    }

    @Test
    void startsThatChangeTheSharedBaseAreRefused() {
        assertThat(sweep("--init pissa --lrs 1e-3,1e-2").complaint())
                .contains("--init pissa changes the frozen weights")
                .contains("use gaussian or kaiming");
    }

    @Test
    void theBestIsAnAdapterLikeAnyOther() {
        JsonNode json = sweep("--json --keep-all --ranks 3 --lrs 1e-3,1e-2").json();
        Path best = folder.resolve("best");
        for (Path adapter : List.of(best, best.resolve(json.path("best").asText()))) {
            JsonNode result = Cli.run(
                            "eval --json --precision f32 --batch-size 2 --model",
                            CASE.model(),
                            "--adapter",
                            adapter,
                            "--data",
                            Cli.data(CASE))
                    .json();
            assertThat(result.path("loss").asDouble())
                    .isCloseTo(json.path("rows").get(0).path("eval_loss").asDouble(), within(1e-5));
        }
        assertThat(best.resolve("sweep.json")).exists();
        assertThat(best.resolve("r3-alpha6-lr0.001")).isDirectory();
    }

    @Test
    void theTableShowsWhatDivergedAndNothingIsOverwrittenUnasked() {
        Cli.Outcome outcome = sweep("--ranks 2 --lrs 1e-3,1e30").ok();
        assertThat(outcome.out()).contains("diverged").contains("best").contains("r2-alpha4-lr0.001");
        assertThat(sweep("--ranks 2 --lrs 1e-3").complaint()).contains("already holds an adapter");
    }

    @Test
    void checkpointsOfAnEarlierRunDoNotStay() {
        Path best = folder.resolve("best");
        Cli.run(
                        "train --precision f32 --steps 2 --save-every 2 --batch-size 2 --model",
                        CASE.model(),
                        "--data",
                        Cli.data(CASE),
                        "--out",
                        best)
                .ok();
        assertThat(sweep("--ranks 2 --force").ok().err()).contains("deleted 1 checkpoint of");
        assertThat(best.resolve("checkpoint-2")).doesNotExist();
    }

    @Test
    void whatCannotBe() {
        assertThat(Cli.run("sweep --model", CASE.model(), "--data", Cli.data(CASE), "--out", folder.resolve("x"))
                        .complaint())
                .contains("--eval-data");
        assertThat(sweep("--ranks 0").complaint()).contains("rank");
        assertThat(sweep("--at-once 0").complaint()).contains("--at-once 0");
        assertThat(sweep("--lrs 1e30 --ranks 2").complaint()).contains("every run diverged");
    }
}
