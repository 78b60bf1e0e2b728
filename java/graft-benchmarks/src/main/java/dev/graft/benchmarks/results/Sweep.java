package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/**
 * Speed and memory of a LoRA step against one number that grows.
 *
 * @param json its name, title, axis and points
 * @param what was trained, and where
 * @param memory the field of a run that has its peak, in bytes
 */
record Sweep(ResultFile file, JsonNode json, String what, String memory) {
    private static final double GIB = 0x1p30;
    private static final String NONE = "–";

    /** All that {@code parent} has. */
    static List<Sweep> of(ResultFile file, JsonNode parent, String what, String memory) {
        List<Sweep> sweeps = new ArrayList<>();
        for (JsonNode sweep : file.need(parent, "sweeps")) {
            sweeps.add(new Sweep(file, sweep, what, memory));
        }
        return sweeps;
    }

    /** @param provenance stands below the table, after what was refused */
    Section section(List<String> provenance) {
        MarkdownTable table = MarkdownTable.of(
                file.need(json, "x").asText(), "batch x tokens", "rank", "tokens/s", "a step", "peak memory");
        List<String> notes = new ArrayList<>();
        for (JsonNode point : file.need(json, "points")) {
            String x = file.need(point, "x").asText();
            if (point.has("refused")) {
                table.row(x, NONE, NONE, NONE, NONE, NONE);
                notes.add(x + ": " + point.path("refused").asText());
                continue;
            }
            JsonNode run = file.need(point, "run");
            table.row(
                    x,
                    run.path("batch").asText() + " x " + run.path("seq").asText(),
                    run.path("rank").asText(),
                    Figures.number(file.number(run, "tokens_per_second")),
                    Figures.time(1e3 * file.number(run, "step_ms")),
                    run.path(memory).isNumber() ? Figures.gib(run.path(memory).asDouble()) : NONE);
        }
        notes.addAll(provenance);
        return new Section(title(), table, notes);
    }

    private String title() {
        return "Cost of a LoRA step against " + file.need(json, "title").asText() + ", " + what;
    }

    Plot plot() {
        List<String> categories = new ArrayList<>();
        List<Double> speeds = new ArrayList<>();
        List<Double> bytes = new ArrayList<>();
        for (JsonNode point : file.need(json, "points")) {
            JsonNode run = point.path("run");
            categories.add(file.need(point, "x").asText());
            speeds.add(run.path("tokens_per_second").asDouble(Double.NaN));
            bytes.add(run.path(memory).asDouble(Double.NaN) / GIB);
        }
        return new Plot(
                file.name().replace(".json", "") + "-" + file.need(json, "name").asText(),
                title(),
                file.need(json, "x").asText(),
                categories,
                Plot.Style.LINES,
                List.of(
                        new Plot.Axis("tokens/s", List.of(new Plot.Series("tokens/s", speeds))),
                        new Plot.Axis("peak memory, GiB", List.of(new Plot.Series("peak memory, GiB", bytes)))));
    }
}
