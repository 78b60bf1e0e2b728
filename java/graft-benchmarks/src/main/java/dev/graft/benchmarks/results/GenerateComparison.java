package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Of {@code scripts/compare-generate}: greedy generation in Graft and in transformers, several models a file. */
final class GenerateComparison implements ResultKind {
    @Override
    public boolean reads(ResultFile file) {
        return file.kind().equals("compare-generate");
    }

    @Override
    public List<Section> sections(List<ResultFile> files) {
        return files.stream().map(GenerateComparison::section).toList();
    }

    private static Section section(ResultFile file) {
        JsonNode json = file.json();
        MarkdownTable table = MarkdownTable.of(
                "model",
                "precision",
                "Graft",
                "transformers",
                "ratio",
                "a token, warm: Graft",
                "transformers",
                "ratio",
                "the whole command: Graft",
                "transformers",
                "ratio",
                "Graft's peak memory",
                "transformers'",
                "same tokens");
        for (JsonNode model : file.need(json, "models")) {
            JsonNode graft = file.need(model, "graft");
            JsonNode pytorch = file.need(model, "pytorch");
            table.row(
                    file.need(model, "model").asText(),
                    file.need(model, "precision").asText(),
                    Figures.number(file.number(graft, "tokens_per_second")) + " tokens/s",
                    Figures.number(file.number(pytorch, "tokens_per_second")) + " tokens/s",
                    PytorchComparison.range(file, file.need(model, "speed_ratio")),
                    Figures.number(file.number(graft, "token_ms")) + " ms",
                    Figures.number(file.number(pytorch, "token_ms")) + " ms",
                    PytorchComparison.range(file, file.need(model, "token_ratio")),
                    commandSeconds(file, graft),
                    commandSeconds(file, pytorch),
                    model.has("command_ratio") ? PytorchComparison.range(file, model.get("command_ratio")) : "",
                    Figures.gib(file.number(graft, "peak_rss_bytes")),
                    Figures.gib(file.number(pytorch, "peak_rss_bytes")),
                    file.need(model, "same_first_tokens").asText() + " of "
                            + file.need(json, "new_tokens").asText());
        }
        String what = String.format(
                Locale.ROOT,
                "%s, PyTorch %s, transformers %s, PEFT %s, %s threads",
                file.provenance(),
                json.path("torch").asText(),
                json.path("transformers").asText(),
                json.path("peft").asText(),
                json.path("threads").asText());
        String heading = "Greedy generation, " + json.path("shape").asText() + ", batch 1, "
                + json.path("prompt_tokens").asText() + " tokens of prompt, "
                + json.path("new_tokens").asText() + " new ones";
        return new Section(heading, table, List.of(what));
    }

    /** From the start of the process to its end; older files lack it. */
    private static String commandSeconds(ResultFile file, JsonNode runs) {
        return runs.has("command_seconds") ? Figures.number(file.number(runs, "command_seconds")) + " s" : "";
    }

    @Override
    public List<Plot> plots(List<ResultFile> files) {
        List<Plot> plots = new ArrayList<>();
        for (ResultFile file : files) {
            List<String> categories = new ArrayList<>();
            List<Double> graft = new ArrayList<>();
            List<Double> pytorch = new ArrayList<>();
            for (JsonNode model : file.need(file.json(), "models")) {
                categories.add(file.need(model, "model").asText() + ", "
                        + file.need(model, "precision").asText());
                graft.add(file.number(model.path("graft"), "tokens_per_second"));
                pytorch.add(file.number(model.path("pytorch"), "tokens_per_second"));
            }
            plots.add(new Plot(
                    file.name().replace(".json", ""),
                    "Greedy generation, " + file.json().path("shape").asText() + ", batch 1",
                    "model and precision",
                    categories,
                    Plot.Style.BARS,
                    List.of(new Plot.Axis(
                            "tokens/s",
                            List.of(new Plot.Series("Graft", graft), new Plot.Series("transformers", pytorch))))));
        }
        return plots;
    }
}
