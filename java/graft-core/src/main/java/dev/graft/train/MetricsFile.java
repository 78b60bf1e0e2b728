package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.io.Json;
import dev.graft.io.JsonLinesWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** {@code metrics.jsonl}: one JSON object a step, and one an evaluation, flushed line by line so that others can follow. */
final class MetricsFile implements AutoCloseable {
    static final String NAME = "metrics.jsonl";

    private final JsonLinesWriter writer;

    /** @param keepSteps lines of later steps are dropped: a resumed run writes them again */
    MetricsFile(Path folder, int keepSteps) {
        Path file = folder.resolve(NAME);
        this.writer = new JsonLinesWriter(file, keepSteps > 0 && Files.exists(file) ? kept(file, keepSteps) : "");
    }

    private static String kept(Path file, int keepSteps) {
        StringBuilder kept = new StringBuilder();
        try {
            for (String line : Files.readAllLines(file)) {
                if (stepOf(line, file) <= keepSteps) {
                    kept.append(line).append('\n');
                }
            }
        } catch (IOException e) {
            throw new InputException(file + ": cannot be read (" + e.getMessage() + "); choose another --out", e);
        }
        return kept.toString();
    }

    /** A line that a crash or a full disk tore counts as one of a later step. */
    private static int stepOf(String line, Path file) {
        try {
            return Json.parse(line, file.toString()).path("step").asInt(Integer.MAX_VALUE);
        } catch (InputException torn) {
            return Integer.MAX_VALUE;
        }
    }

    void step(StepMetrics metrics) {
        writer.write(Json.mapper()
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
        writer.write(Json.mapper()
                .createObjectNode()
                .put("step", step)
                .put("eval_loss", metrics.loss())
                .put("eval_tokens", metrics.tokens()));
    }

    private static double rounded(double value) {
        return Math.round(value * 1000) / 1000.0;
    }

    @Override
    public void close() {
        writer.close();
    }
}
