package dev.graft.cli.compare;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.io.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * One way of adapting the base, with one number of examples to learn from, over all seeds.
 *
 * @param method {@code base} for the model as it is
 * @param rank of its adapters; null where it has none
 * @param shots examples it was trained on
 * @param learningRate of its runs
 * @param trainable numbers that are trained
 * @param trainableShare of all numbers of the model in training
 * @param bytesPerTask the weights that a task adds on disk
 * @param stepMs median time of a training step
 * @param peakBytes of memory while training, weights included, as planned: what is allocated, or used in place in its file
 * @param score percent of held-out questions answered exactly; or, on data that has no answers to compare, NaN
 * @param loss mean over the target tokens of the held-out rows
 * @param forgetting perplexity on the base's own kind of text, with the adapter on, over the base's: 1 = nothing forgotten;
 *     NaN where there is no such text
 * @param tokenMs time of a generated token
 */
public record CompareRow(
        String method,
        @Nullable Integer rank,
        int shots,
        double learningRate,
        long trainable,
        double trainableShare,
        long bytesPerTask,
        double stepMs,
        long peakBytes,
        Spread score,
        Spread loss,
        Spread forgetting,
        TokenMs tokenMs) {

    static final List<String> COLUMNS = List.of(
            "method",
            "rank",
            "shots",
            "learning_rate",
            "trainable",
            "trainable_share",
            "bytes_per_task",
            "step_ms",
            "peak_bytes",
            "score_mean",
            "score_std",
            "loss_mean",
            "loss_std",
            "forgetting",
            "token_ms_separate",
            "token_ms_merged",
            "token_ratio_separate",
            "token_ratio_merged");

    /**
     * What generating takes.
     *
     * @param separate ms a token, the adapter beside the weights
     * @param merged ms a token, the adapter merged into them; null where it cannot be
     * @param separateRatio to the base, the median of pairs measured in turn; mergedRatio likewise
     */
    public record TokenMs(
            double separate,
            @Nullable Double merged,
            double separateRatio,
            @Nullable Double mergedRatio) {}

    /** Such as {@code lora r8}. */
    String label() {
        return rank == null ? method : method + " r" + rank;
    }

    ObjectNode json() {
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("method", method);
        json.put("rank", rank);
        json.put("shots", shots);
        json.put("learning_rate", learningRate);
        json.put("trainable", trainable);
        json.put("trainable_share", trainableShare);
        json.put("bytes_per_task", bytesPerTask);
        json.put("step_ms", Json.finite(stepMs));
        json.put("peak_bytes", peakBytes);
        json.put("score_mean", Json.finite(score.mean()));
        json.put("score_std", Json.finite(score.std()));
        json.put("loss_mean", Json.finite(loss.mean()));
        json.put("loss_std", Json.finite(loss.std()));
        json.put("forgetting", Json.finite(forgetting.mean()));
        json.put("token_ms_separate", tokenMs.separate());
        json.put("token_ms_merged", tokenMs.merged());
        json.put("token_ratio_separate", tokenMs.separateRatio());
        json.put("token_ratio_merged", tokenMs.mergedRatio());
        return json;
    }

    /** A line of comma-separated values, in the order of {@link #COLUMNS}; empty where there is no figure. */
    String csv() {
        ObjectNode json = json();
        List<String> cells = new ArrayList<>();
        for (String column : COLUMNS) {
            var value = json.path(column);
            cells.add(
                    value.isNull()
                            ? ""
                            : value.isDouble() ? String.format(Locale.ROOT, "%.6g", value.asDouble()) : value.asText());
        }
        return String.join(",", cells);
    }
}
