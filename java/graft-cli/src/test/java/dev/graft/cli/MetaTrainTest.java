package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.lora.PeftAdapter;
import dev.graft.train.ParityCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MetaTrainTest {
    private static final ParityCase CASE = ParityCase.named("qwen2");
    private static final int TASKS = 10;

    @TempDir
    Path folder;

    private Path tasks;

    /** In each task the answer to any two tokens is the same; over the tasks it is one of four. */
    @BeforeEach
    void writeTasks() throws IOException {
        tasks = Files.createDirectory(folder.resolve("tasks"));
        Random random = new Random(3);
        for (int task = 0; task < TASKS; task++) {
            int answer = 5 + task % 4;
            Cli.write(
                    tasks.resolve("task-" + task + ".jsonl"),
                    Stream.generate(() -> "{\"input_ids\": [%d, %d, %d], \"labels\": [-100, -100, %d]}"
                                    .formatted(random.nextInt(30), random.nextInt(30), answer, answer))
                            .limit(8)
                            .collect(Collectors.joining("\n")));
        }
        Cli.write(tasks.resolve("notes.txt"), "not a task");
    }

    /** A short run, but for the flags given. */
    private Object[] metaTrain(Object... flags) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("--model", CASE.model());
        all.put("--tasks", tasks);
        all.put("--out", folder.resolve("start"));
        all.put("--precision", "f32");
        all.put("--shots", 4);
        all.put("--query", 4);
        all.put("--inner-steps", 3);
        all.put("--meta-steps", 20);
        List<String> given = Cli.arguments(flags);
        given.forEach(all::remove);
        List<Object> arguments = new ArrayList<>(List.of("meta-train"));
        all.forEach((flag, value) -> {
            arguments.add(flag);
            arguments.add(value);
        });
        arguments.addAll(given);
        return arguments.toArray();
    }

    @ParameterizedTest
    @CsvSource({"reptile, sgd, 1", "reptile, adam, 1", "fomaml, sgd, 1e-2", "maml, sgd, 1e-2"})
    void learnsAnAdapterFromWhichAFewStepsAdapt(String algorithm, String inner, String outerRate) {
        JsonNode json = Cli.run(
                        metaTrain("--json --rank 4 --algorithm", algorithm, "--inner", inner, "--outer-lr", outerRate))
                .json();
        assertThat(json.path("algorithm").asText()).isEqualTo(algorithm);
        assertThat(json.path("tasks").asInt()).isEqualTo(8);
        assertThat(json.path("held_out_tasks").asInt()).isEqualTo(2);
        assertThat(json.path("last_query_loss").asDouble())
                .isLessThan(0.8 * json.path("first_query_loss").asDouble());
        assertThat(json.path("bytes_per_task").asLong())
                .isEqualTo(4 * json.path("trainable_parameters").asLong());
        JsonNode learned = json.path("adaptation").path("learned");
        JsonNode plain = json.path("adaptation").path("plain");
        assertThat(learned).hasSize(4);
        assertThat(plain).hasSize(19);
        assertThat(learned.get(0).asDouble()).isLessThan(plain.get(0).asDouble());
        assertThat(learned.get(3).asDouble()).isLessThan(learned.get(0).asDouble());
        List<JsonNode> steps = Cli.metrics(folder.resolve("start"), "query_loss");
        assertThat(steps).hasSize(20);
        assertThat(steps.getLast().path("query_loss")).isEqualTo(json.path("last_query_loss"));
    }

    @Test
    void whatComesOutIsAnAdapterThatTrainingGoesOnFrom() {
        Cli.Outcome outcome = Cli.run(metaTrain("--rank 4 --held-out 0")).ok();
        assertThat(outcome.out())
                .contains("adapted loss")
                .contains("inner step")
                .doesNotContain("held-out");
        Path start = folder.resolve("start");
        PeftAdapter adapter = PeftAdapter.read(start);
        assertThat(adapter.config().rank()).isEqualTo(4);
        adapter.weights().forEach((name, values) -> assertThat(values).as(name).isNotEqualTo(new float[values.length]));

        Path data = tasks.resolve("task-0.jsonl");
        double before = loss(data, start);
        Path tuned = folder.resolve("tuned");
        Cli.run(
                        "train --precision f32 --steps 5 --lr 1e-2 --model",
                        CASE.model(),
                        "--data",
                        data,
                        "--init-adapter",
                        start,
                        "--out",
                        tuned)
                .ok();
        assertThat(loss(data, tuned)).isLessThan(before);
        // and so does meta-training itself
        JsonNode more = Cli.run(metaTrain("--json --force --meta-steps 1 --init-adapter", start))
                .json();
        assertThat(more.path("trainable_parameters").asLong()).isPositive();
    }

    private static double loss(Path data, Path adapter) {
        return Cli.run("eval --json --precision f32 --model", CASE.model(), "--data", data, "--adapter", adapter)
                .json()
                .path("loss")
                .asDouble();
    }

    @Test
    void allWeightsGiveAModelToStartFrom() {
        JsonNode json = Cli.run(metaTrain("--json --method full")).json();
        assertThat(json.path("last_query_loss").asDouble())
                .isLessThan(json.path("first_query_loss").asDouble());
        JsonNode model = Cli.run("inspect --json", folder.resolve("start")).json();
        assertThat(model.path("parameters").path("total").asLong())
                .isEqualTo(json.path("trainable_parameters").asLong());
    }

    @Test
    void generatedTasksOnTheEmbeddedBase() {
        Path task = folder.resolve("task");
        Cli.run("tasks --with-base --out", task).ok();
        JsonNode json = Cli.run(metaTrain(
                        "--json --tasks generated:extract --task-count 6 --held-out 1 --meta-steps 2 --plain-steps 3 --model",
                        task.resolve("base")))
                .json();
        assertThat(json.path("tasks").asInt()).isEqualTo(6);
        assertThat(json.path("held_out_tasks").asInt()).isEqualTo(1);
        assertThat(json.path("adaptation").path("learned").get(3).asDouble())
                .isLessThan(json.path("adaptation").path("learned").get(0).asDouble());
    }

    @Test
    void checkpointsOfAnEarlierRunDoNotStay() {
        Path start = folder.resolve("start");
        Cli.run(
                        "train --precision f32 --rank 4 --steps 2 --save-every 1 --model",
                        CASE.model(),
                        "--data",
                        tasks.resolve("task-0.jsonl"),
                        "--out",
                        start)
                .ok();
        assertThat(Cli.run(metaTrain("--meta-steps 1")).complaint())
                .contains("checkpoints up to checkpoint-2; give --force");
        assertThat(Cli.run(metaTrain("--meta-steps 1 --force")).ok().err()).contains("deleted 2 checkpoints");
        assertThat(start.resolve("checkpoint-1")).doesNotExist();
        assertThat(start.resolve("checkpoint-2")).doesNotExist();
    }

    @Test
    void theVectorsOfALongPathCountAsMemory() {
        // the path of 10^8 inner steps is as many vectors: no machine has memory for them
        assertThat(Cli.run(metaTrain("--algorithm maml --inner-steps 100000000"))
                        .complaint())
                .contains("this run needs")
                .contains("GiB are available")
                .contains("fewer --inner-steps");
        assertThat(Cli.run(metaTrain("--meta-steps 1 --held-out 0")).ok().err())
                .containsPattern("memory: .+ of .+ available");
    }

    @Test
    void twoRunsEndAlike() {
        JsonNode first = Cli.run(metaTrain("--json")).json();
        JsonNode second = Cli.run(metaTrain("--json --force")).json();
        assertThat(second.path("adaptation")).isEqualTo(first.path("adaptation"));
        assertThat(second.path("last_query_loss").asDouble())
                .isCloseTo(first.path("last_query_loss").asDouble(), within(0.0));
    }

    @Test
    void aSignalLeavesWhatWasLearned() throws IOException, InterruptedException {
        Path out = folder.resolve("start");
        Path log = folder.resolve("log.txt");
        Process process = Cli.start(log, metaTrain("--meta-steps 1000000"));
        try {
            Cli.awaitLines(out.resolve("metrics.jsonl"), process);
            process.destroy();
            assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        String printed = Files.readString(log);
        assertThat(process.exitValue()).as(printed).isEqualTo(130);
        assertThat(printed).contains("what was learned so far is in");
        assertThat(PeftAdapter.read(out).weights()).isNotEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "--algorithm magic, 'use reptile, fomaml or maml'",
        "--inner newton, use sgd or adam",
        "--outer newton, use sgd or adam",
        "--algorithm maml --inner adam, --inner sgd",
        "--algorithm maml --precision bf16, --precision f32",
        "--shots 8, leaves no row to judge",
        "--shots 0, --shots 0",
        "--inner-steps 0, --inner-steps 0",
        "--meta-steps 0, --meta-steps 0",
        "--tasks-per-step 0, --tasks-per-step 0",
        "--inner-lr -1, --inner-lr -1",
        "--outer-lr -1, --outer-lr -1",
        "--outer-clip -1, --outer-clip -1",
        "--held-out 10, leaves none to learn from",
        "--held-out -1, --held-out -1",
        "--plain-steps 2, --plain-steps 2",
        "--dropout 0.1, --dropout 0",
        "--algorithm maml --dora, use fomaml or reptile",
        "--init pissa, use gaussian or kaiming",
        "--init olora, use gaussian or kaiming",
        "--modules-to-save lm_heed, matches no module of this model",
        "--tasks generated:sums, there is no kind of task",
        "--tasks generated --task-count 0, --task-count 0",
        "--method full --rank 3, --rank belongs to LoRA",
        "--inner-lr 1e30 --inner-clip 0, lower --inner-lr",
    })
    void whatCannotBe(String flags, String complaint) {
        assertThat(Cli.run(metaTrain(flags)).complaint()).contains(complaint);
    }

    @Test
    void tasksThatAreNotThere() throws IOException {
        assertThat(Cli.run(metaTrain("--tasks", folder.resolve("none"))).complaint())
                .contains("no such folder");
        Path empty = Files.createDirectory(folder.resolve("empty"));
        assertThat(Cli.run(metaTrain("--tasks", empty)).complaint()).contains("holds no .jsonl file");
        Cli.run(metaTrain("--meta-steps 1")).ok();
        assertThat(Cli.run(metaTrain("--meta-steps 1")).complaint()).contains("already holds an adapter");
    }
}
