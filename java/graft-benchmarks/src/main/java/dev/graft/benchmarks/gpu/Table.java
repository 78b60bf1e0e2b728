package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The JSON file for reading: a line or two a section. */
final class Table {
    private static final int MOST_FAILURES = 10;

    private final JsonNode report;
    private final List<String> lines = new ArrayList<>();

    Table(JsonNode report) {
        this.report = report;
    }

    List<String> lines() {
        JsonNode environment = report.path("environment");
        line(
                "%s: %s",
                environment.path("engine").asText(),
                environment.path("description").asText());
        for (var section : report.properties()) {
            if (section.getValue().has("error")) {
                line(
                        "%s FAILED: %s",
                        section.getKey(), section.getValue().path("error").asText());
            }
        }
        conformance(report.path("conformance"));
        training(report.path("training"));
        kernels(report.path("kernels"));
        layers(report.path("lora_linear"));
        steps(report.path("step"));
        operations(report.path("operations"));
        growth(report.path("growth"));
        readOnly(report.path("read_only"));
        ratios(report.path("ratios"));
        sanitize(report.path("sanitize"));
        return lines;
    }

    private void conformance(JsonNode section) {
        if (!section.has("succeeded")) {
            return;
        }
        line(
                "conformance: %d passed, %d failed, %d skipped in %.0f s",
                section.path("succeeded").asLong(),
                section.path("failed").asLong(),
                section.path("skipped").asLong(),
                section.path("seconds").asDouble());
        JsonNode failures = section.path("failures");
        for (int i = 0; i < Math.min(MOST_FAILURES, failures.size()); i++) {
            line(
                    "  FAILED %s: %s",
                    failures.path(i).path("test").asText(),
                    failures.path(i).path("message").asText());
        }
        if (failures.size() > MOST_FAILURES) {
            line("  and others, which the file names");
        }
        section.path("skip_reasons").forEach(reason -> line("  skipped: %s", reason.asText()));
    }

    private void training(JsonNode section) {
        for (JsonNode outcome : section.path("outcomes")) {
            line(
                    "training %s: loss %.4f to %.4f, %s bits when run again, W0 %s%s",
                    outcome.path("precision").asText(),
                    outcome.path("first_loss").asDouble(),
                    outcome.path("last_loss").asDouble(),
                    outcome.path("same_bits").asBoolean() ? "same" : "OTHER",
                    outcome.path("frozen_unchanged").asBoolean() ? "unchanged" : "CHANGED",
                    outcome.has("loss_difference")
                            ? text(
                                    ", %.1e from the CPU's f32 losses",
                                    outcome.path("loss_difference").asDouble())
                            : "");
        }
    }

    private void kernels(JsonNode section) {
        if (!section.has("ceilings")) {
            return;
        }
        JsonNode ceilings = section.path("ceilings");
        line(
                "ceilings: copy %.0f GB/s, bf16 product %.0f TFLOP/s",
                ceilings.path("copy_gb_s").asDouble(),
                ceilings.path("gemm_tflops").asDouble());
        line("%-20s %-42s %10s %8s %9s", "operation", "size", "ms", "GB/s|TF", "of floor");
        for (JsonNode kernel : section.path("kernels")) {
            line(
                    "%-20s %-42s %10.4f %8.0f %8.0f%%",
                    kernel.path("op").asText(),
                    kernel.path("shape").asText(),
                    kernel.path("ms").asDouble(),
                    kernel.path(kernel.has("gb_s") ? "gb_s" : "tflops").asDouble(),
                    100 * kernel.path("of_floor").asDouble());
        }
    }

    private void layers(JsonNode section) {
        if (!section.has("layers")) {
            return;
        }
        line(
                "%-18s %16s %16s %16s %16s %16s %10s",
                "LoRA linear", "frozen ms", "its layout alone", "bordered", "overlapped", "plain", "max error");
        for (JsonNode layer : section.path("layers")) {
            double worst = 0;
            for (String way : List.of("bordered", "overlapped", "plain")) {
                for (JsonNode error : layer.path(way).path("errors")) {
                    worst = Math.max(worst, error.asDouble());
                }
            }
            line(
                    "%-18s %16s %16s %16s %16s %16s %10.1e",
                    layer.path("shape").asText() + " " + layer.path("dtype").asText() + " r"
                            + layer.path("rank").asText(),
                    pair(layer.path("frozen"), "ms"),
                    pair(layer.path("frozen_bordered"), "ratio"),
                    pair(layer.path("bordered"), "ratio"),
                    pair(layer.path("overlapped"), "ratio"),
                    pair(layer.path("plain"), "ratio"),
                    worst);
        }
    }

    /** Forward and backward. */
    private static String pair(JsonNode way, String field) {
        return text(
                "%.3f %.3f",
                way.path("forward").path(field).asDouble(),
                way.path("backward").path(field).asDouble());
    }

    private void steps(JsonNode section) {
        for (JsonNode step : section.path("steps")) {
            line(
                    "step of %s, %d x %d, rank %d, %s: %.0f tokens/s, %.1f ms, %.0f TFLOP/s, %.1f MiB planned, %.1f used",
                    step.path("shape").asText(),
                    step.path("batch").asInt(),
                    step.path("seq").asInt(),
                    step.path("rank").asInt(),
                    setup(step),
                    step.path("tokens_per_second").asDouble(),
                    step.path("step_ms").asDouble(),
                    step.path("tflops").asDouble(),
                    step.path("plan_bytes").asDouble() / 0x1p20,
                    step.path("used_bytes").asDouble() / 0x1p20);
        }
        section.path("left_out")
                .forEach(step -> line(
                        "step of %s: %s",
                        step.path("shape").asText(), step.path("reason").asText()));
    }

    private static String setup(JsonNode step) {
        return "border " + step.path("border").asInt()
                + (step.path("overlap").asBoolean() ? ", overlapped" : "")
                + (step.path("wgmma").asBoolean() ? ", wgmma" : "");
    }

    private void operations(JsonNode section) {
        if (!section.has("operations")) {
            return;
        }
        line(
                "operations of a step of %s, %d x %d, rank %d: %.1f ms, each waited for; a step %.1f ms, of which the host enqueues %.1f",
                section.path("shape").asText(),
                section.path("batch").asInt(),
                section.path("seq").asInt(),
                section.path("rank").asInt(),
                section.path("ms").asDouble(),
                section.path("step_ms").asDouble(),
                section.path("enqueue_ms").asDouble());
        line("%-42s %6s %10s %10s %10s %8s", "operation", "calls", "ms", "floor", "gap", "share");
        for (JsonNode operation : section.path("operations")) {
            line(
                    "%-42s %6d %10.3f %10.3f %10.3f %7.1f%%",
                    operation.path("operation").asText(),
                    operation.path("calls").asLong(),
                    operation.path("ms").asDouble(),
                    operation.path("floor_ms").asDouble(),
                    operation.path("gap_ms").asDouble(),
                    100 * operation.path("share").asDouble());
        }
    }

    private void growth(JsonNode section) {
        for (JsonNode sweep : section.path("sweeps")) {
            for (JsonNode point : sweep.path("points")) {
                JsonNode run = point.path("run");
                String at = sweep.path("x").asText() + " " + point.path("x").asText();
                if (point.has("refused")) {
                    line("growth, %s: %s", at, point.path("refused").asText());
                } else {
                    line(
                            "growth, %s: %s, %d x %d, %.0f tokens/s, %.1f ms, %.1f GiB%s",
                            at,
                            run.path("shape").asText(),
                            run.path("batch").asInt(),
                            run.path("seq").asInt(),
                            run.path("tokens_per_second").asDouble(),
                            run.path("step_ms").asDouble(),
                            run.path("used_bytes").asDouble() / 0x1p30,
                            run.path("gradient_checkpointing").asBoolean() ? ", with gradient checkpointing" : "");
                }
            }
        }
    }

    private void readOnly(JsonNode section) {
        if (section.has("granted")) {
            line(
                    "read-only mappings: %s%s",
                    !section.path("granted").asBoolean()
                            ? "refused"
                            : section.path("enforced").asBoolean()
                                    ? "granted, a write fails"
                                    : "granted, a write succeeds",
                    section.path("detail").asText().isEmpty()
                            ? ""
                            : ": " + section.path("detail").asText());
        }
    }

    private void ratios(JsonNode ratios) {
        JsonNode layers = ratios.path("lora_linear");
        if (!layers.isEmpty()) {
            line("%-18s %13s %13s %13s %13s", "PyTorch / Graft", "frozen", "PEFT", "PEFT autocast", "Unsloth's way");
        }
        for (JsonNode layer : layers) {
            JsonNode against = layer.path("against");
            line(
                    "%-18s %13s %13s %13s %13s",
                    layer.path("shape").asText() + " " + layer.path("dtype").asText() + " r"
                            + layer.path("rank").asText(),
                    passes(layer.path("frozen")),
                    passes(against.path("peft")),
                    passes(against.path("peft_autocast")),
                    passes(against.path("unsloth")));
        }
        for (String way : List.of("attention", "attention_wgmma")) {
            if (ratios.has(way)) {
                line("PyTorch / Graft, %s: %s", way, passes(ratios.path(way)));
            }
        }
        for (JsonNode step : ratios.path("step")) {
            line(
                    "PyTorch / Graft, step of %s, %s against PyTorch's %s, %s: time a token %s, memory %s",
                    step.path("shape").asText(),
                    step.path("batch").asText(),
                    step.path("torch_batch").asText(),
                    setup(step),
                    ratio(step.path("tokens_per_second")),
                    ratio(step.path("memory")));
        }
    }

    /** Forward and backward. */
    private static String passes(JsonNode ratios) {
        return ratio(ratios.path("forward")) + " " + ratio(ratios.path("backward"));
    }

    private static String ratio(JsonNode ratio) {
        return ratio.isNumber() ? text("%.2f", ratio.asDouble()) : "-";
    }

    private void sanitize(JsonNode section) {
        for (JsonNode finding : section.path("findings")) {
            JsonNode findings = finding.path("lines");
            line(
                    "compute-sanitizer %s: %s in %.0f s: %s",
                    finding.path("tool").asText(),
                    finding.path("passed").asBoolean() ? "clean" : "FAILED",
                    finding.path("seconds").asDouble(),
                    findings.path(findings.size() - 1).asText());
        }
    }

    private void line(String format, Object... values) {
        lines.add(text(format, values));
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
