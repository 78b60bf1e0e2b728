package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.io.Json;
import java.util.List;

/** What {@code scripts/reference/gpu_lora.py} measured on the same GPU, taken over as it is; {@link Ratios} compares. */
final class PytorchSection implements Section {
    @Override
    public String name() {
        return "pytorch";
    }

    @Override
    public Object run(Verification verification) {
        if (verification.pytorch() == null) {
            throw new InputException(
                    "--sections pytorch: needs --pytorch FILE, as scripts/reference/gpu_lora.py writes it");
        }
        return Json.readObject(verification.pytorch());
    }

    /** PyTorch's time over Graft's, more than 1 where Graft is faster; for tokens a second the other way round. */
    static final class Ratios {
        private static final List<String> WAYS = List.of("frozen", "peft", "peft_autocast", "unsloth");

        private final ObjectNode report;
        private final ArrayNode all;

        private Ratios(ObjectNode report) {
            this.report = report;
            this.all = report.arrayNode();
        }

        /** Everything that both measured under the same name; {@code report} is the whole of the file. */
        static ArrayNode of(ObjectNode report) {
            Ratios ratios = new Ratios(report);
            ratios.layers();
            ratios.attention();
            ratios.steps();
            return ratios.all;
        }

        private void layers() {
            for (JsonNode graft : report.path("lora_linear").path("layers")) {
                for (JsonNode torch : report.path("pytorch").path("lora_linear")) {
                    if (same(graft, torch, "shape", "rank", "dtype")) {
                        WAYS.forEach(way -> layer(graft, torch, way));
                    }
                }
            }
        }

        private void layer(JsonNode graft, JsonNode torch, String way) {
            String own = way.equals("frozen") ? "frozen" : "bordered";
            for (String pass : List.of("forward", "backward")) {
                String what =
                        graft.path("shape").asText() + " " + graft.path("dtype").asText() + " r"
                                + graft.path("rank").asText() + " " + pass + ", " + own + " against " + way;
                add(
                        what,
                        torch.path(way).path(pass).path("ms"),
                        graft.path(own).path(pass).path("ms"));
            }
        }

        private void attention() {
            for (JsonNode kernel : report.path("kernels").path("kernels")) {
                String op = kernel.path("op").asText();
                if (op.startsWith("attention_")) {
                    String pass = op.substring("attention_".length());
                    JsonNode torch = report.path("pytorch").path("attention").path(pass);
                    add("attention " + pass + " against SDPA", torch.path("ms"), kernel.path("ms"));
                }
            }
        }

        private void steps() {
            for (JsonNode graft : report.path("step").path("steps")) {
                for (JsonNode torch : report.path("pytorch").path("step")) {
                    if (same(graft, torch, "shape", "batch", "seq", "rank")) {
                        String what = "step of " + graft.path("shape").asText() + ", border "
                                + graft.path("border").asText();
                        add(what + ", tokens/s", graft.path("tokens_per_second"), torch.path("tokens_per_second"));
                        add(what + ", memory", torch.path("peak_bytes"), graft.path("used_bytes"));
                    }
                }
            }
        }

        private static boolean same(JsonNode graft, JsonNode torch, String... fields) {
            for (String field : fields) {
                if (!graft.path(field).asText().equals(torch.path(field).asText())) {
                    return false;
                }
            }
            return true;
        }

        private void add(String what, JsonNode over, JsonNode under) {
            if (over.isNumber() && under.isNumber() && under.asDouble() > 0) {
                all.addObject().put("what", what).put("ratio", over.asDouble() / under.asDouble());
            }
        }
    }
}
