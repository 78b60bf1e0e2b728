package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/** Of {@code scripts/compare-pytorch}: a training step in Graft and in PyTorch, one object a file. */
final class PytorchComparison implements ResultKind {
    private static final String FLAG_SHAPE = "--shape";

    @Override
    public boolean reads(ResultFile file) {
        JsonNode json = file.json();
        return json.has("graft") && json.has("pytorch") && json.has("speed_ratio");
    }

    @Override
    public List<Section> sections(List<ResultFile> files) {
        MarkdownTable table = MarkdownTable.of(
                "shape", "precision", "Graft", "PyTorch", "ratio", "Graft's peak memory", "PyTorch's", "ratio");
        for (ResultFile file : files) {
            JsonNode json = file.json();
            JsonNode graft = json.path("graft");
            JsonNode pytorch = json.path("pytorch");
            table.row(
                    flag(file, FLAG_SHAPE),
                    flag(file, "--precision"),
                    Figures.number(file.number(graft, "tokens_per_second")) + " tokens/s",
                    Figures.number(file.number(pytorch, "tokens_per_second")) + " tokens/s",
                    range(file, "speed_ratio"),
                    Figures.gib(file.number(graft, "peak_rss_bytes")),
                    Figures.gib(file.number(pytorch, "peak_rss_bytes")),
                    Figures.ratio(file.number(json.path("memory_ratio"), "median")));
        }
        List<String> notes = files.stream().map(PytorchComparison::note).toList();
        return List.of(new Section("A LoRA training step, Graft and PyTorch in turn", table, notes));
    }

    /** The median, and where the pairs differ their range. */
    static String range(ResultFile file, JsonNode ratio) {
        String least = Figures.ratio(file.number(ratio, "min"));
        String most = Figures.ratio(file.number(ratio, "max"));
        String median = Figures.ratio(file.number(ratio, "median"));
        return least.equals(most) ? median : median + " (" + least + "–" + most + ")";
    }

    private static String range(ResultFile file, String field) {
        return range(file, file.need(file.json(), field));
    }

    private static String note(ResultFile file) {
        JsonNode json = file.json();
        return file.provenance() + ", PyTorch " + json.path("torch").asText() + ", "
                + json.path("threads").asText() + " threads";
    }

    /** The value after a flag of the measured command. */
    private static String flag(ResultFile file, String name) {
        List<String> flags = List.of(file.need(file.json(), "flags").asText().split(" "));
        int at = flags.indexOf(name);
        return at < 0 || at + 1 == flags.size() ? "default" : flags.get(at + 1);
    }

    @Override
    public List<Plot> plots(List<ResultFile> files) {
        List<String> categories = files.stream()
                .map(file -> flag(file, FLAG_SHAPE) + ", " + flag(file, "--precision"))
                .toList();
        return List.of(new Plot(
                "compare-pytorch",
                "A LoRA training step",
                "model shape and precision",
                categories,
                Plot.Style.BARS,
                List.of(new Plot.Axis(
                        "tokens/s", List.of(series(files, "Graft", "graft"), series(files, "PyTorch", "pytorch"))))));
    }

    private static Plot.Series series(List<ResultFile> files, String name, String field) {
        return new Plot.Series(
                name,
                files.stream()
                        .map(file -> file.number(file.json().path(field), "tokens_per_second"))
                        .toList());
    }
}
