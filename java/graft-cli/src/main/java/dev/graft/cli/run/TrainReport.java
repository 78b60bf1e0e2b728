package dev.graft.cli.run;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.TrainRequest;
import dev.graft.io.Json;
import dev.graft.train.EvalMetrics;
import dev.graft.train.Method;
import dev.graft.train.StepMetrics;
import dev.graft.train.Trainer;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What {@code train} says when it is done.
 *
 * @param frozenIntact whether the frozen weights are what they were; null where that was not asked
 * @param out the output folder
 * @param weightsFile the file in it that holds what was trained
 */
public record TrainReport(
        TrainRequest request,
        TrainProgress progress,
        Trainer.Result result,
        @Nullable Boolean frozenIntact,
        Path out,
        String weightsFile) {

    private long trainable() {
        return request.method().trainableCount(request.config());
    }

    private long all() {
        return PlanReport.allParameters(request.method(), request.config());
    }

    private boolean isAdapter() {
        return !(request.method() instanceof Method.Full);
    }

    private long bytes() {
        return FileSize.of(out.resolve(weightsFile));
    }

    /** As JSON. */
    public ObjectNode json() {
        StepMetrics first = progress.first();
        StepMetrics last = progress.last();
        EvalMetrics evaluation = progress.lastEvaluation();
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("steps", result.steps());
        json.put("first_loss", first == null ? null : (Double) first.loss());
        json.put("last_loss", last == null ? null : (Double) last.loss());
        json.put("eval_loss", evaluation == null ? null : (Double) evaluation.loss());
        json.put("tokens_per_second", progress.tokensPerSecond());
        json.put("trainable_parameters", trainable());
        json.put("trainable_share", (double) trainable() / all());
        json.put(isAdapter() ? "adapter_bytes" : "model_bytes", bytes());
        json.put("out", out.toString());
        if (frozenIntact != null) {
            json.put("frozen_unchanged", frozenIntact);
        }
        return json;
    }

    /** As text. */
    public List<String> lines() {
        StepMetrics first = progress.first();
        EvalMetrics evaluation = progress.lastEvaluation();
        Table table = Table.ofTexts().row("steps", Units.count(result.steps()));
        if (first != null) {
            double last = Objects.requireNonNull(progress.last()).loss();
            table.row("loss", Units.fixed(first.loss(), 4) + " -> " + Units.fixed(last, 4));
            table.row("tokens/s", Units.count(Math.round(progress.tokensPerSecond())));
        }
        if (evaluation != null) {
            table.row(
                    "evaluation",
                    "loss " + Units.fixed(evaluation.loss(), 4) + ", perplexity "
                            + Units.fixed(evaluation.perplexity(), 3));
        }
        if (frozenIntact != null) {
            table.row("frozen weights", frozenIntact ? "unchanged, bit for bit" : "CHANGED");
        }
        return table.row(
                        "trained",
                        Units.count(trainable()) + " parameters, " + Units.share(trainable(), all()) + " of all")
                .row(isAdapter() ? "adapter" : "model", out + " (" + Units.bytes(bytes()) + ")")
                .lines();
    }
}
