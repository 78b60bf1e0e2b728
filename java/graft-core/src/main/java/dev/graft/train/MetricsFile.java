package dev.graft.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** {@code metrics.jsonl}: one JSON object a step, and one an evaluation, flushed line by line so that others can follow. */
final class MetricsFile implements AutoCloseable {
    static final String NAME = "metrics.jsonl";

    private final Path file;
    private final BufferedWriter writer;

    /** @param keepSteps lines of later steps are dropped: a resumed run writes them again */
    MetricsFile(Path folder, int keepSteps) {
        this.file = folder.resolve(NAME);
        try {
            StringBuilder kept = new StringBuilder();
            if (keepSteps > 0 && Files.exists(file)) {
                for (String line : Files.readAllLines(file)) {
                    if (stepOf(line) <= keepSteps) {
                        kept.append(line).append('\n');
                    }
                }
            }
            AtomicFiles.writeString(file, kept.toString());
            this.writer = Files.newBufferedWriter(file, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    /** A line that a crash or a full disk tore counts as one of a later step. */
    private int stepOf(String line) {
        try {
            return Json.parse(line, file.toString()).path("step").asInt(Integer.MAX_VALUE);
        } catch (InputException torn) {
            return Integer.MAX_VALUE;
        }
    }

    void step(StepMetrics metrics) {
        write(Json.mapper()
                .createObjectNode()
                .put("step", metrics.step())
                .put("loss", metrics.loss())
                .put("lr", metrics.learningRate())
                .put("grad_norm", metrics.gradNorm())
                .put("tokens", metrics.tokens())
                .put("tokens_per_second", rounded(metrics.tokensPerSecond()))
                .put("elapsed_s", rounded(metrics.elapsedSeconds())));
    }

    void evaluation(int step, EvalMetrics metrics) {
        write(Json.mapper()
                .createObjectNode()
                .put("step", step)
                .put("eval_loss", metrics.loss())
                .put("eval_tokens", metrics.tokens()));
    }

    private static double rounded(double value) {
        return Math.round(value * 1000) / 1000.0;
    }

    private void write(ObjectNode line) {
        try {
            writer.write(line + "\n");
            writer.flush();
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    private InputException cannotWrite(IOException e) {
        return new InputException(
                file + ": cannot be written (" + e.getMessage() + "); free space or choose another --out", e);
    }

    @Override
    public void close() {
        try {
            writer.close();
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }
}
