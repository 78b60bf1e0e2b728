package dev.graft.cli.compare;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import dev.graft.meta.StartComparison;
import java.util.List;
import java.util.OptionalInt;

/**
 * A start that was learned over other tasks of the same kind, beside the plain one, on tasks that neither has seen.
 *
 * @param comparison loss by inner steps from both
 * @param tasks that it was learned from
 * @param seconds that learning it took
 * @param loraInnerMs of an inner step of LoRA; fullInnerMs of one of all weights
 * @param loraBytes of a task's copy of what the inner loop changes; fullBytes where it changes all weights
 */
public record LearnedStart(
        StartComparison comparison,
        int tasks,
        double seconds,
        double loraInnerMs,
        double fullInnerMs,
        long loraBytes,
        long fullBytes) {
    private static final int WORTH = 4;

    ObjectNode json() {
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("inner_steps", comparison.innerSteps());
        OptionalInt steps = comparison.plainStepsToMatch();
        json.put("plain_steps_to_match", steps.isPresent() ? (Integer) steps.getAsInt() : null);
        json.put("plain_steps_tried", comparison.plain().losses().size() - 1);
        put(json.putArray("learned_losses"), comparison.learned().losses());
        put(json.putArray("plain_losses"), comparison.plain().losses());
        json.put("tasks", tasks);
        json.put("seconds", seconds);
        json.put("inner_step_ms_lora", loraInnerMs);
        json.put("inner_step_ms_full", fullInnerMs);
        json.put("copy_bytes_lora", loraBytes);
        json.put("copy_bytes_full", fullBytes);
        return json;
    }

    private static void put(ArrayNode array, List<Double> losses) {
        losses.forEach(loss -> array.add(Json.finite(loss)));
    }

    /** What is said of learned starts, and what came out. */
    List<Claim> claims() {
        int steps = comparison.innerSteps();
        int tried = comparison.plain().losses().size() - 1;
        OptionalInt plain = comparison.plainStepsToMatch();
        String reached = "loss " + Units.fixed(comparison.learned().after(steps), 3) + " after " + steps
                + " steps on new tasks; from the plain start, at its best rate, "
                + (plain.isPresent()
                        ? "after " + plain.getAsInt()
                        : "not within " + tried + ", where it is at "
                                + Units.fixed(comparison.plain().after(tried), 3));
        return List.of(
                new Claim(
                        "a learned start adapts in " + steps + " steps as the plain one does in " + WORTH * steps
                                + " or more",
                        reached,
                        plain.isEmpty() || plain.getAsInt() >= WORTH * steps),
                new Claim(
                        "LoRA makes the inner loop of meta-learning cheap",
                        Units.fixed(loraInnerMs, 1) + " ms a step and " + Units.bytes(loraBytes)
                                + " a task's copy; of all weights " + Units.fixed(fullInnerMs, 1) + " ms and "
                                + Units.bytes(fullBytes),
                        loraInnerMs < fullInnerMs && loraBytes < fullBytes));
    }
}
