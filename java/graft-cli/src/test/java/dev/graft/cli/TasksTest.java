package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.io.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TasksTest {
    @TempDir
    Path folder;

    /** The files are what train and eval read, and the base learns from them. */
    @Test
    void aTaskCanBeTrainedAndEvaluated() {
        JsonNode result = Cli.run("tasks --kind code --seed 3 --shots 8 --held-out 20 --with-base --json --out", folder)
                .json();
        assertThat(result.path("task").asText()).startsWith("code/").endsWith("/3");
        assertThat(result.path("rule").asText()).startsWith("a sentence as the command");
        assertThat(result.path("split").asText()).isIn("train", "test");
        assertThat(result.path("shots").asInt()).isEqualTo(8);
        assertThat(lines("train.jsonl")).hasSize(8);
        assertThat(lines("held-out.jsonl")).hasSize(20).doesNotContainAnyElementsOf(lines("train.jsonl"));

        Path adapter = folder.resolve("adapter");
        Cli.run(
                        "train --rank 8 --lr 2e-3 --batch-size 8 --steps 12 --model",
                        Path.of(result.path("base").asText()),
                        "--data",
                        Path.of(result.path("train").asText()),
                        "--out",
                        adapter)
                .ok();
        assertThat(loss("--adapter", adapter)).isLessThan(0.5 * loss());
    }

    private List<String> lines(String file) {
        try {
            return Files.readAllLines(folder.resolve(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private double loss(Object... more) {
        List<Object> arguments = new ArrayList<>(
                List.of("eval --json --model", folder.resolve("base"), "--data", folder.resolve("held-out.jsonl")));
        arguments.addAll(List.of(more));
        return Cli.run(arguments.toArray()).json().path("loss").asDouble();
    }

    @Test
    void theSameSeedWritesTheSameFiles() {
        Path other = folder.resolve("other");
        assertThat(Cli.run("tasks --out", folder).ok().out())
                .contains("extract/", "32 examples in " + folder.resolve("train.jsonl"))
                .doesNotContain("base model");
        Cli.run("tasks --kind extract --seed 0 --shots 4 --held-out 64 --out", other)
                .ok();
        assertThat(Cli.bytes(other.resolve("held-out.jsonl"))).isEqualTo(Cli.bytes(folder.resolve("held-out.jsonl")));
        assertThat(Cli.bytes(folder.resolve("train.jsonl"))).startsWith(Cli.bytes(other.resolve("train.jsonl")));
        JsonNode line = Json.parse(lines("train.jsonl").getFirst(), "train.jsonl");
        assertThat(line.propertyStream().map(property -> property.getKey())).containsExactly("prompt", "completion");
    }

    @Test
    void everyKindIsListedWithAnExample() {
        JsonNode kinds = Cli.run("tasks --list --json").json().path("kinds");
        assertThat(kinds).hasSize(8);
        String text = Cli.run("tasks --list").ok().out();
        for (JsonNode kind : kinds) {
            assertThat(text)
                    .contains(kind.path("kind").asText() + ": "
                            + kind.path("description").asText())
                    .contains(kind.path("task").asText() + ": "
                            + kind.path("rule").asText())
                    .contains(kind.path("completion").asText());
            assertThat(kind.path("prompt").asText()).endsWith(":");
        }
        assertThat(Cli.run("tasks --list --seed 1").ok().out()).isNotEqualTo(text);
    }

    @Test
    void whatCannotBe() {
        assertThat(Cli.run("tasks").complaint()).contains("--out DIR is missing");
        assertThat(Cli.run("tasks --kind sing --out", folder).complaint()).contains("\"sing\"", "extract, code");
        assertThat(Cli.run("tasks --shots 0 --out", folder).complaint()).contains("--shots 0");
        assertThat(Cli.run("tasks --held-out 100000 --out", folder).complaint()).contains("--held-out 100000");
        assertThat(Cli.run("tasks --kind sort --seed 5 --held-out 1000 --out", folder)
                        .complaint())
                .contains("sort/day-thing-semicolons/5 has 606 different examples")
                .contains("not 1000; ask for fewer");
        assertThat(folder).isEmptyDirectory();
        Path file = Cli.write(folder.resolve("train.jsonl"), "mine\n");
        assertThat(Cli.run("tasks --out", folder).complaint()).contains("train.jsonl is there already", "--force");
        assertThat(Cli.run("tasks --out", file).complaint()).contains("is a file");
        Cli.run("tasks --force --out", folder).ok();
        assertThat(lines("train.jsonl")).hasSize(32);
    }
}
