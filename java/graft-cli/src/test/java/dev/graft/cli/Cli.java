package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.io.Json;
import dev.graft.train.ParityCase;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Runs commands as a user types them, in this process. */
final class Cli {
    private Cli() {}

    /** What a command printed, and its exit code. */
    record Outcome(int exitCode, String out, String err) {
        /** That it went well. */
        Outcome ok() {
            assertThat(exitCode).as(err).isZero();
            return this;
        }

        /** The result of a command with {@code --json}. */
        JsonNode json() {
            return Json.parse(ok().out, "standard output");
        }

        /** That the input was found at fault, in one line without a stack trace; returns that line. */
        String complaint() {
            assertThat(exitCode).as(err).isEqualTo(2);
            List<String> lines = err.lines()
                    .filter(line -> line.startsWith("graft: ")
                            && !line.startsWith("graft: engine")
                            && !line.startsWith("graft: matrix products")
                            && !line.startsWith("graft: warning"))
                    .toList();
            assertThat(lines).as(err).hasSize(1);
            assertThat(err).doesNotContain("Exception").doesNotContain("\tat ");
            assertThat(out).isEmpty();
            return lines.getFirst();
        }
    }

    /** Arguments, spelt as one line where none has a space; anything but text is appended as it is. */
    static Outcome run(Object... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int exitCode = Main.run(arguments(arguments).toArray(String[]::new), stream(out), stream(err));
        return new Outcome(exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    /** Runs a command in a process of its own, which a signal can reach; what it prints goes to {@code log}. */
    static Process start(Path log, Object... arguments) {
        Stream<String> java = Stream.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.graft.cli.Main");
        try {
            return new ProcessBuilder(
                            Stream.concat(java, arguments(arguments).stream()).toList())
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits until a process has written something to {@code file}, or ended. */
    static void awaitLines(Path file, Process process) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (System.nanoTime() < deadline && process.isAlive()) {
            if (Files.exists(file) && Files.size(file) > 0) {
                return;
            }
            Thread.sleep(20);
        }
    }

    /** Text is split at spaces; paths and numbers are arguments as they are. */
    static List<String> arguments(Object... arguments) {
        List<String> split = new ArrayList<>();
        for (Object argument : arguments) {
            if (argument instanceof String text) {
                split.addAll(List.of(text.split(" ")));
            } else {
                split.add(argument.toString());
            }
        }
        return split;
    }

    private static PrintStream stream(ByteArrayOutputStream bytes) {
        return new PrintStream(bytes, true, StandardCharsets.UTF_8);
    }

    static Path data(ParityCase parity) {
        return parity.folder().resolve("data.jsonl");
    }

    /** The flags of the reference run, but for its steps and adapter. */
    static String flags(ParityCase parity) {
        JsonNode train = parity.expected().path("train");
        String plus = train.has("lora_plus_ratio") ? " --lora-plus-ratio " + train.path("lora_plus_ratio") : "";
        return "--precision f32 --no-shuffle --batch-size " + train.path("batch_size") + " --grad-accum "
                + train.path("grad_accum") + " --lr " + train.path("lr") + " --schedule "
                + train.path("schedule").asText() + " --warmup-steps " + train.path("warmup_steps")
                + " --weight-decay " + train.path("weight_decay") + " --clip-norm " + train.path("clip_norm")
                + plus;
    }

    /** The lines of a run's metrics.jsonl that have {@code field}. */
    static List<JsonNode> metrics(Path out, String field) {
        try (Stream<String> lines = Files.lines(out.resolve("metrics.jsonl"))) {
            return lines.map(line -> Json.parse(line, "metrics.jsonl"))
                    .filter(row -> row.has(field))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static byte[] bytes(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Path write(Path file, String text) {
        try {
            return Files.writeString(file, text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A copy of a folder's files that a test may damage. */
    static Path copy(Path folder, Path target) {
        try (Stream<Path> files = Files.list(folder)) {
            Files.createDirectories(target);
            for (Path file : files.toList()) {
                Files.copy(file, target.resolve(file.getFileName()));
            }
            return target;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
