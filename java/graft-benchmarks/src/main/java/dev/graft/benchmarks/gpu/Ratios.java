package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Graft beside PyTorch where both measured the same thing: PyTorch's time or memory over Graft's, so more than 1 where Graft needs
 * less.
 *
 * @param loraLinear layers, the bordered way
 * @param attention against scaled_dot_product_attention
 * @param attentionWgmma the same on Hopper's own tensor core instructions
 * @param step whole steps against transformers and PEFT
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Ratios(
        List<Layer> loraLinear,
        @Nullable Passes attention,
        @Nullable Passes attentionWgmma,
        List<Step> step) {
    private static final List<String> PEERS = List.of("peft", "peft_autocast", "unsloth");

    /** Null where one side has no number. */
    record Passes(@Nullable Double forward, @Nullable Double backward) {
        private static Passes of(JsonNode torch, JsonNode graft) {
            return new Passes(
                    ratio(
                            torch.path("forward").path("ms"),
                            graft.path("forward").path("ms")),
                    ratio(
                            torch.path("backward").path("ms"),
                            graft.path("backward").path("ms")));
        }
    }

    /**
     * A layer.
     *
     * @param frozen both frozen alone: how far the two differ before any adapter
     * @param against each way of PyTorch's
     */
    record Layer(String shape, String dtype, int rank, Passes frozen, Map<String, Passes> against) {}

    /**
     * A step.
     *
     * @param batch Graft's, rows x tokens
     * @param torchBatch PyTorch's: smaller where the same did not fit
     * @param border of Graft's engine
     * @param overlap likewise
     * @param wgmma likewise
     * @param memory null where the batches differ
     */
    record Step(
            String shape,
            String batch,
            String torchBatch,
            int border,
            boolean overlap,
            boolean wgmma,
            @Nullable Double tokensPerSecond,
            @Nullable Double memory) {}

    /** @param report the whole of the file */
    static Ratios of(JsonNode report) {
        JsonNode torch = report.path(PytorchSection.NAME);
        return new Ratios(
                layers(report.path("lora_linear").path("layers"), torch.path("lora_linear")),
                attention(report.path("kernels").path("kernels"), "", torch.path("attention")),
                attention(report.path("kernels").path("kernels"), KernelsSection.WGMMA, torch.path("attention")),
                steps(report.path("step").path("steps"), torch.path("step")));
    }

    private static List<Layer> layers(JsonNode ours, JsonNode theirs) {
        List<Layer> layers = new ArrayList<>();
        for (JsonNode graft : ours) {
            for (JsonNode torch : theirs) {
                if (same(graft, torch, "shape", "dtype", "rank")) {
                    Map<String, Passes> against = new LinkedHashMap<>();
                    for (String peer : PEERS) {
                        if (torch.has(peer)) {
                            against.put(peer, Passes.of(torch.path(peer), graft.path("bordered")));
                        }
                    }
                    layers.add(new Layer(
                            graft.path("shape").asText(),
                            graft.path("dtype").asText(),
                            graft.path("rank").asInt(),
                            Passes.of(torch.path("frozen"), graft.path("frozen")),
                            against));
                }
            }
        }
        return layers;
    }

    private static @Nullable Passes attention(JsonNode kernels, String way, JsonNode torch) {
        Map<String, Double> ratios = new LinkedHashMap<>();
        for (String pass : List.of("forward", "backward")) {
            for (JsonNode kernel : kernels) {
                if (kernel.path("op").asText().equals("attention_" + pass + way)) {
                    ratios.put(pass, ratio(torch.path(pass).path("ms"), kernel.path("ms")));
                }
            }
        }
        return ratios.isEmpty() ? null : new Passes(ratios.get("forward"), ratios.get("backward"));
    }

    private static List<Step> steps(JsonNode ours, JsonNode theirs) {
        List<Step> steps = new ArrayList<>();
        for (JsonNode graft : ours) {
            for (JsonNode torch : theirs) {
                if (torch.has("tokens_per_second") && same(graft, torch, "shape", "rank")) {
                    boolean alike = batch(graft).equals(batch(torch));
                    steps.add(new Step(
                            graft.path("shape").asText(),
                            batch(graft),
                            batch(torch),
                            graft.path("border").asInt(),
                            graft.path("overlap").asBoolean(),
                            graft.path("wgmma").asBoolean(),
                            ratio(graft.path("tokens_per_second"), torch.path("tokens_per_second")),
                            alike ? ratio(torch.path("peak_bytes"), graft.path("used_bytes")) : null));
                }
            }
        }
        return steps;
    }

    private static String batch(JsonNode step) {
        return step.path("batch").asText() + " x " + step.path("seq").asText();
    }

    private static boolean same(JsonNode graft, JsonNode torch, String... fields) {
        for (String field : fields) {
            if (!graft.path(field).asText().equals(torch.path(field).asText())) {
                return false;
            }
        }
        return true;
    }

    private static @Nullable Double ratio(JsonNode over, JsonNode under) {
        return over.isNumber() && under.isNumber() && under.asDouble() > 0 ? over.asDouble() / under.asDouble() : null;
    }
}
