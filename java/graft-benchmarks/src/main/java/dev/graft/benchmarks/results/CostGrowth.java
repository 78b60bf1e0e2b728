package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/** Of {@code scripts/cost-growth}: speed and memory of a step against one number that grows, several sweeps a file. */
final class CostGrowth implements ResultKind {
    private static final double GIB = 0x1p30;
    private static final String NONE = "–";

    @Override
    public boolean reads(ResultFile file) {
        return file.kind().equals("cost-growth");
    }

    @Override
    public List<Section> sections(List<ResultFile> files) {
        List<Section> sections = new ArrayList<>();
        for (ResultFile file : files) {
            for (JsonNode sweep : file.need(file.json(), "sweeps")) {
                sections.add(section(file, sweep));
            }
        }
        return sections;
    }

    private static Section section(ResultFile file, JsonNode sweep) {
        MarkdownTable table = MarkdownTable.of(
                file.need(sweep, "x").asText(), "batch x tokens", "rank", "tokens/s", "a step", "peak memory");
        List<String> notes = new ArrayList<>();
        for (JsonNode point : file.need(sweep, "points")) {
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
                    run.path("peak_rss_bytes").isNumber()
                            ? Figures.gib(run.path("peak_rss_bytes").asDouble())
                            : NONE);
        }
        notes.add(file.provenance());
        return new Section(title(file, sweep), table, notes);
    }

    private static String title(ResultFile file, JsonNode sweep) {
        return "Cost of a LoRA step against " + file.need(sweep, "title").asText() + ", "
                + file.json().path("shape").asText() + ", "
                + file.json().path("precision").asText();
    }

    @Override
    public List<Plot> plots(List<ResultFile> files) {
        List<Plot> plots = new ArrayList<>();
        for (ResultFile file : files) {
            for (JsonNode sweep : file.need(file.json(), "sweeps")) {
                plots.add(plot(file, sweep));
            }
        }
        return plots;
    }

    private static Plot plot(ResultFile file, JsonNode sweep) {
        List<String> categories = new ArrayList<>();
        List<Double> speeds = new ArrayList<>();
        List<Double> memory = new ArrayList<>();
        for (JsonNode point : file.need(sweep, "points")) {
            categories.add(file.need(point, "x").asText());
            speeds.add(point.at("/run/tokens_per_second").asDouble(Double.NaN));
            memory.add(point.at("/run/peak_rss_bytes").asDouble(Double.NaN) / GIB);
        }
        return new Plot(
                file.name().replace(".json", "") + "-"
                        + file.need(sweep, "name").asText(),
                title(file, sweep),
                file.need(sweep, "x").asText(),
                categories,
                Plot.Style.LINES,
                List.of(
                        new Plot.Axis("tokens/s", List.of(new Plot.Series("tokens/s", speeds))),
                        new Plot.Axis("peak memory, GiB", List.of(new Plot.Series("peak memory, GiB", memory)))));
    }
}
