package dev.graft.model;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.common.InputException;
import dev.graft.nn.Rope;
import dev.graft.nn.RopeScaling;
import java.nio.file.Path;

/** The rotary part of {@code config.json}: {@code rope_parameters}, or {@code rope_theta} with {@code rope_scaling}. */
final class RopeReader {
    private static final double DEFAULT_THETA = 10000;

    private final Path file;
    private final JsonNode config;
    private final JsonNode parameters;
    private final int headDim;
    private final int maxPositions;

    RopeReader(Path file, JsonNode config, int headDim, int maxPositions) {
        this.file = file;
        this.config = config;
        this.parameters =
                config.hasNonNull("rope_parameters") ? config.get("rope_parameters") : config.path("rope_scaling");
        this.headDim = headDim;
        this.maxPositions = maxPositions;
    }

    Rope read() {
        double theta = number(parameters, "rope_theta", number(config, "rope_theta", DEFAULT_THETA));
        if (!(theta > 0)) {
            throw bad("rope_theta", theta + " is not positive");
        }
        if (number(parameters, "partial_rotary_factor", 1) != 1) {
            throw bad("partial_rotary_factor", "changes the model's maths and is not supported");
        }
        parameters.properties().forEach(entry -> {
            if (entry.getValue().isObject()) {
                throw bad(entry.getKey(), "rotary parameters by kind of layer are not supported");
            }
        });
        return new Rope(theta, headDim, scaling());
    }

    private RopeScaling scaling() {
        String type =
                parameters.path("rope_type").asText(parameters.path("type").asText("default"));
        return switch (type) {
            case "default" -> new RopeScaling.None();
            case "linear" -> new RopeScaling.Linear(required("factor"));
            case "dynamic" -> new RopeScaling.Dynamic(required("factor"), maxPositions);
            case "llama3" ->
                new RopeScaling.Llama3(
                        required("factor"),
                        required("low_freq_factor"),
                        required("high_freq_factor"),
                        originalMaxPositions());
            case "yarn" -> yarn();
            default ->
                throw bad(
                        "rope_type",
                        "'" + type + "' is not supported, only default, linear, dynamic, llama3 and yarn are");
        };
    }

    private RopeScaling yarn() {
        double factor =
                parameters.hasNonNull("factor") ? required("factor") : (double) maxPositions / originalMaxPositions();
        return new RopeScaling.Yarn(
                factor,
                orElse("beta_fast", 32),
                orElse("beta_slow", 1),
                attentionFactor(factor),
                originalMaxPositions(),
                parameters.path("truncate").asBoolean(true));
    }

    private double attentionFactor(double factor) {
        double mscale = number(parameters, "mscale", 0);
        double mscaleAllDim = number(parameters, "mscale_all_dim", 0);
        double suggested = mscale != 0 && mscaleAllDim != 0
                ? RopeScaling.Yarn.suggestedAttentionFactor(factor, mscale)
                        / RopeScaling.Yarn.suggestedAttentionFactor(factor, mscaleAllDim)
                : RopeScaling.Yarn.suggestedAttentionFactor(factor, 1);
        return number(parameters, "attention_factor", suggested);
    }

    /** A config-level value wins over the one in the rotary parameters, as in transformers. */
    private int originalMaxPositions() {
        String field = "original_max_position_embeddings";
        double original = number(config, field, number(parameters, field, maxPositions));
        if (!(original >= 1)) {
            throw bad(field, original + " is not positive");
        }
        return (int) original;
    }

    private double required(String field) {
        JsonNode value = parameters.path(field);
        if (!value.isNumber() || !(value.asDouble() > 0)) {
            throw bad(
                    field,
                    (value.isMissingNode() ? "missing" : value.toString())
                            + " in the rotary parameters; a positive number is needed");
        }
        return value.asDouble();
    }

    private double orElse(String field, double otherwise) {
        double value = number(parameters, field, 0);
        return value == 0 ? otherwise : value;
    }

    private double number(JsonNode node, String field, double otherwise) {
        JsonNode value = node.path(field);
        if (value.isMissingNode() || value.isNull()) {
            return otherwise;
        }
        if (!value.isNumber()) {
            throw bad(field, value + " is not a number");
        }
        return value.asDouble();
    }

    private InputException bad(String field, String what) {
        return new InputException(file + ": " + field + ": " + what);
    }
}
