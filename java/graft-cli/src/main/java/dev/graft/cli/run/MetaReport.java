package dev.graft.cli.run;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.MetaRequest;
import dev.graft.io.Json;
import dev.graft.meta.Adaptation;
import dev.graft.meta.MetaMetrics;
import dev.graft.meta.StartComparison;
import dev.graft.train.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What {@code meta-train} says when it is done.
 *
 * @param comparison on held-out tasks; null where none were kept aside
 */
public record MetaReport(
        MetaRequest request,
        MetaTasks tasks,
        MetaProgress progress,
        @Nullable StartComparison comparison,
        Path out) {

    private long trainable() {
        return request.train().method().trainableCount(request.train().config());
    }

    /** Bytes of the float32 values that each task has of its own while it adapts. */
    private long taskBytes() {
        return trainable() * Float.BYTES;
    }

    /** As JSON. */
    public ObjectNode json() {
        MetaMetrics first = Objects.requireNonNull(progress.first());
        MetaMetrics last = Objects.requireNonNull(progress.last());
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("algorithm", request.meta().algorithm().name().toLowerCase(Locale.ROOT));
        json.put("meta_steps", last.step());
        json.put("tasks", tasks.learned().size());
        json.put("held_out_tasks", tasks.heldOut().size());
        json.put("first_query_loss", first.queryLoss());
        json.put("last_query_loss", last.queryLoss());
        json.put("seconds", last.elapsedSeconds());
        json.put("inner_step_ms", progress.innerStepMillis());
        json.put("trainable_parameters", trainable());
        json.put("bytes_per_task", taskBytes());
        if (comparison != null) {
            ObjectNode curves = json.putObject("adaptation");
            curves.put("inner_steps", comparison.innerSteps());
            put(curves, "learned", comparison.learned());
            put(curves, "plain", comparison.plain());
            Integer needed = comparison.plainStepsToMatch().isPresent()
                    ? comparison.plainStepsToMatch().getAsInt()
                    : null;
            curves.put("plain_steps_to_match", needed);
        }
        json.put("out", out.toString());
        return json;
    }

    private static void put(ObjectNode json, String name, Adaptation.Curve curve) {
        var array = json.putArray(name);
        curve.losses().forEach(loss -> array.add(Json.finite(loss)));
    }

    /** As text. */
    public List<String> lines() {
        MetaMetrics first = Objects.requireNonNull(progress.first());
        MetaMetrics last = Objects.requireNonNull(progress.last());
        Table table = Table.ofTexts()
                .row("meta-steps", Units.count(last.step()) + " in " + Units.duration(last.elapsedSeconds()))
                .row("adapted loss", Units.fixed(first.queryLoss(), 4) + " -> " + Units.fixed(last.queryLoss(), 4))
                .row(
                        "inner step",
                        Units.fixed(progress.innerStepMillis(), 1) + " ms; " + Units.bytes(taskBytes())
                                + " of values a task");
        if (comparison != null) {
            int steps = comparison.innerSteps();
            Adaptation.Curve learned = comparison.learned();
            Adaptation.Curve plain = comparison.plain();
            table.row(
                            "held-out tasks",
                            "loss " + Units.fixed(learned.after(0), 4) + ", after " + Units.counted(steps, "inner step")
                                    + " " + Units.fixed(learned.after(steps), 4))
                    .row(
                            "plain start",
                            "loss " + Units.fixed(plain.after(0), 4) + ", after " + Units.counted(steps, "inner step")
                                    + " " + Units.fixed(plain.after(steps), 4) + "; " + catchesUp(comparison));
        }
        return table.row(request.train().method() instanceof Method.Full ? "model" : "adapter", out.toString())
                .lines();
    }

    private static String catchesUp(StartComparison comparison) {
        int most = comparison.plain().losses().size() - 1;
        return comparison.plainStepsToMatch().isPresent()
                ? "needs " + comparison.plainStepsToMatch().getAsInt() + " for the same"
                : "not there after " + most;
    }
}
