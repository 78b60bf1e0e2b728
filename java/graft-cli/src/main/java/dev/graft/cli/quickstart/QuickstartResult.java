package dev.graft.cli.quickstart;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * What the quickstart saw.
 *
 * @param question one held-out prompt; answerBefore and answerAfter are what was made of it
 * @param exactMatchBefore percent of held-out answers that were exactly right, base alone; After with the adapter
 * @param exactMatchMerged the same of the merged checkpoint
 * @param sameAnswers of {@code questions}: how often merged and adapted agree to the letter
 * @param adaptedLoss over the held-out answers; mergedLoss likewise
 * @param trainable numbers trained; parameters of the base
 * @param perplexityBefore of the base on its own kind of text, before training; perplexityOff after it, adapter off;
 *     perplexityOn with the adapter on
 * @param frozenBefore fingerprint of the frozen weights in memory before training; frozenAfter after it
 */
public record QuickstartResult(
        String question,
        String answerBefore,
        String answerAfter,
        double exactMatchBefore,
        double exactMatchAfter,
        double exactMatchMerged,
        int sameAnswers,
        int questions,
        double adaptedLoss,
        double mergedLoss,
        long trainable,
        long parameters,
        long adapterBytes,
        long modelBytes,
        double perplexityBefore,
        double perplexityOff,
        double perplexityOn,
        String frozenBefore,
        String frozenAfter,
        double firstLoss,
        double lastLoss,
        Path adapter,
        Path merged,
        Path plot) {

    /** Whether training left the base as it was: its weights bit for bit, its perplexity exactly. */
    public boolean isBaseIntact() {
        return frozenBefore.equals(frozenAfter) && perplexityBefore == perplexityOff;
    }

    /** As text. */
    public List<String> lines() {
        return List.of(
                "question                " + question.replace("\n", "\n                        "),
                "  the base says        " + oneLine(answerBefore),
                "  with the adapter     " + oneLine(answerAfter),
                "",
                format(
                        "exact match             %.1f %% before, %.1f %% after, on %d held-out questions",
                        exactMatchBefore, exactMatchAfter, questions),
                format("training loss           %.4f to %.4f", firstLoss, lastLoss),
                "trained numbers         " + Units.count(trainable) + " of "
                        + Units.count(parameters + trainable) + ", " + Units.share(trainable, parameters + trainable),
                "size                    adapter " + Units.bytes(adapterBytes) + ", model " + Units.bytes(modelBytes),
                format(
                        "base perplexity         %.4f before, %.4f after with the adapter off (%s), %.4f with it on",
                        perplexityBefore,
                        perplexityOff,
                        perplexityBefore == perplexityOff ? "equal" : "NOT EQUAL",
                        perplexityOn),
                "frozen weights          " + frozenBefore + " before, " + frozenAfter + " after: "
                        + (frozenBefore.equals(frozenAfter) ? "not one bit changed" : "THEY CHANGED"),
                format(
                        "merged                  %.1f %% exact match; %d of %d answers the same as adapted; loss %.5f, adapted %.5f",
                        exactMatchMerged, sameAnswers, questions, mergedLoss, adaptedLoss),
                "files                   " + adapter + ", " + merged + ", " + plot);
    }

    /** As JSON. */
    public ObjectNode json() {
        return Json.mapper()
                .createObjectNode()
                .put("exact_match_before", exactMatchBefore)
                .put("exact_match_after", exactMatchAfter)
                .put("exact_match_merged", exactMatchMerged)
                .put("questions", questions)
                .put("same_answers_merged", sameAnswers)
                .put("adapted_loss", adaptedLoss)
                .put("merged_loss", mergedLoss)
                .put("trainable_parameters", trainable)
                .put("model_parameters", parameters)
                .put("adapter_bytes", adapterBytes)
                .put("model_bytes", modelBytes)
                .put("perplexity_before", perplexityBefore)
                .put("perplexity_after_adapter_off", perplexityOff)
                .put("perplexity_after_adapter_on", perplexityOn)
                .put("frozen_fingerprint_before", frozenBefore)
                .put("frozen_fingerprint_after", frozenAfter)
                .put("base_intact", isBaseIntact())
                .put("adapter", adapter.toString())
                .put("merged", merged.toString())
                .put("plot", plot.toString());
    }

    private static String oneLine(String text) {
        String flat = text.strip().replace("\n", " ⏎ ");
        return flat.length() > 90 ? flat.substring(0, 89) + "…" : flat;
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
