package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Of {@code scripts/gpu-verify}: one file a GPU, each of its sections a table where it was measured. */
final class GpuResults implements ResultKind {
    private static final String FORWARD = "forward";
    private static final String BACKWARD = "backward";

    @Override
    public boolean reads(ResultFile file) {
        return file.json().path("environment").has("gpu");
    }

    @Override
    public List<Section> sections(List<ResultFile> files) {
        List<Section> sections = new ArrayList<>();
        for (ResultFile file : files) {
            String gpu = file.json().path("environment").path("gpu").asText();
            List<String> notes = notes(file);
            add(sections, "Steps on " + gpu, steps(file), notes);
            add(
                    sections,
                    "LoRA linear layers on " + gpu + ", as multiples of the frozen layer's time",
                    layers(file),
                    notes);
            add(sections, "Operations of a step on " + gpu + ", the largest gap first", operations(file), notes);
            add(sections, "Kernels on " + gpu, kernels(file), notes);
            add(
                    sections,
                    "LoRA linear layers on " + gpu + ", PyTorch's time over Graft's, forward and backward",
                    layerRatios(file),
                    notes);
            add(
                    sections,
                    "Steps on " + gpu + " against transformers and PEFT, more than 1 where Graft is better",
                    stepRatios(file),
                    notes);
            sweeps(file).forEach(sweep -> sections.add(sweep.section(notes)));
        }
        return sections;
    }

    private static void add(List<Section> sections, String heading, MarkdownTable table, List<String> notes) {
        if (!table.isEmpty()) {
            sections.add(new Section(heading, table, notes));
        }
    }

    private static List<String> notes(ResultFile file) {
        JsonNode environment = file.json().path("environment");
        List<String> notes = new ArrayList<>();
        notes.add(environment.path("date").asText() + ", "
                + environment.path("description").asText() + ", `"
                + environment.path("command").asText() + "`, `" + file.name() + "`");
        for (Map.Entry<String, JsonNode> section : file.json().properties()) {
            JsonNode result = section.getValue();
            if (result.has("error")) {
                notes.add(section.getKey() + " failed: " + result.path("error").asText());
            } else if (!result.path("passed").asBoolean(true)) {
                notes.add(section.getKey() + " did not pass");
            }
        }
        return notes;
    }

    private static MarkdownTable steps(ResultFile file) {
        MarkdownTable table = MarkdownTable.of(
                "shape",
                "batch x tokens",
                "rank",
                "border",
                "overlap",
                "wgmma",
                "tokens/s",
                "a step",
                "TFLOP/s",
                "memory");
        for (JsonNode step : file.json().path("step").path("steps")) {
            table.row(
                    step.path("shape").asText(),
                    step.path("batch").asText() + " x " + step.path("seq").asText(),
                    step.path("rank").asText(),
                    step.path("border").asText(),
                    yesOrNo(step, "overlap"),
                    yesOrNo(step, "wgmma"),
                    Figures.number(file.number(step, "tokens_per_second")),
                    Figures.time(1e3 * file.number(step, "step_ms")),
                    Figures.number(file.number(step, "tflops")),
                    Figures.gib(file.number(step, "used_bytes")));
        }
        return table;
    }

    private static String yesOrNo(JsonNode parent, String field) {
        return parent.path(field).asBoolean() ? "yes" : "no";
    }

    private static MarkdownTable layers(ResultFile file) {
        MarkdownTable table = MarkdownTable.of(
                "layer",
                "dtype",
                "rank",
                "rows",
                "pass",
                "frozen",
                "frozen, bordered layout",
                "LoRA, bordered",
                "LoRA, overlapped",
                "LoRA, plain");
        for (JsonNode layer : file.json().path("lora_linear").path("layers")) {
            for (String pass : List.of(FORWARD, BACKWARD)) {
                JsonNode frozen = file.need(layer.path("frozen"), pass);
                table.row(
                        layer.path("shape").asText(),
                        layer.path("dtype").asText(),
                        layer.path("rank").asText(),
                        layer.path("rows").asText(),
                        pass,
                        Figures.time(1e3 * file.number(frozen, "ms")) + ", "
                                + Figures.number(file.number(frozen, "tflops")) + " TFLOP/s",
                        ratio(file, layer, "frozen_bordered", pass),
                        ratio(file, layer, "bordered", pass),
                        ratio(file, layer, "overlapped", pass),
                        ratio(file, layer, "plain", pass));
            }
        }
        return table;
    }

    private static String ratio(ResultFile file, JsonNode layer, String way, String pass) {
        return Figures.overhead(file.number(layer.path(way).path(pass), "ratio"));
    }

    private static MarkdownTable operations(ResultFile file) {
        MarkdownTable table = MarkdownTable.of("operation", "calls", "time", "floor", "gap", "share");
        for (JsonNode operation : file.json().path("operations").path("operations")) {
            table.row(
                    file.need(operation, "operation").asText(),
                    operation.path("calls").asText(),
                    Figures.time(1e3 * file.number(operation, "ms")),
                    Figures.time(1e3 * file.number(operation, "floor_ms")),
                    Figures.time(1e3 * file.number(operation, "gap_ms")),
                    Figures.number(100 * file.number(operation, "share")) + " %");
        }
        return table;
    }

    private static List<Sweep> sweeps(ResultFile file) {
        JsonNode growth = file.json().path("growth");
        String gpu = file.json().path("environment").path("gpu").asText();
        return growth.has("sweeps") ? Sweep.of(file, growth, "bf16, on " + gpu, "used_bytes") : List.of();
    }

    private static MarkdownTable kernels(ResultFile file) {
        MarkdownTable table = MarkdownTable.of("operation", "size", "time", "rate", "of the floor");
        for (JsonNode kernel : file.json().path("kernels").path("kernels")) {
            table.row(
                    file.need(kernel, "op").asText(),
                    file.need(kernel, "shape").asText(),
                    Figures.time(1e3 * file.number(kernel, "ms")),
                    kernel.path("gb_s").isNumber()
                            ? Figures.number(kernel.path("gb_s").asDouble()) + " GB/s"
                            : Figures.number(file.number(kernel, "tflops")) + " TFLOP/s",
                    Figures.number(100 * file.number(kernel, "of_floor")) + " %");
        }
        return table;
    }

    private static MarkdownTable layerRatios(ResultFile file) {
        MarkdownTable table = MarkdownTable.of(
                "layer",
                "dtype",
                "rank",
                "frozen alone",
                "against PEFT",
                "against PEFT, autocast",
                "against Unsloth's way");
        JsonNode ratios = file.json().path("ratios");
        for (JsonNode layer : ratios.path("lora_linear")) {
            JsonNode against = file.need(layer, "against");
            table.row(
                    layer.path("shape").asText(),
                    layer.path("dtype").asText(),
                    layer.path("rank").asText(),
                    passes(file.need(layer, "frozen")),
                    passes(against.path("peft")),
                    passes(against.path("peft_autocast")),
                    passes(against.path("unsloth")));
        }
        for (String way : List.of("attention", "attention_wgmma")) {
            if (ratios.has(way)) {
                table.row(way + ", against SDPA", "BF16", "", passes(ratios.path(way)), "", "", "");
            }
        }
        return table;
    }

    private static String passes(JsonNode ratios) {
        return ratioOrNone(ratios.path(FORWARD)) + " / " + ratioOrNone(ratios.path(BACKWARD));
    }

    private static String ratioOrNone(JsonNode ratio) {
        return ratio.isNumber() ? Figures.ratio(ratio.asDouble()) : "-";
    }

    private static MarkdownTable stepRatios(ResultFile file) {
        MarkdownTable table = MarkdownTable.of(
                "shape", "batch x tokens", "PyTorch's", "border", "overlap", "wgmma", "tokens/s", "memory");
        for (JsonNode step : file.json().path("ratios").path("step")) {
            table.row(
                    step.path("shape").asText(),
                    step.path("batch").asText(),
                    step.path("torch_batch").asText(),
                    step.path("border").asText(),
                    yesOrNo(step, "overlap"),
                    yesOrNo(step, "wgmma"),
                    Figures.ratio(file.number(step, "tokens_per_second")),
                    ratioOrNone(step.path("memory")));
        }
        return table;
    }

    /** Of the sweeps: a GPU's steps are few, its kernels too many. */
    @Override
    public List<Plot> plots(List<ResultFile> files) {
        return files.stream()
                .flatMap(file -> sweeps(file).stream())
                .map(Sweep::plot)
                .toList();
    }
}
