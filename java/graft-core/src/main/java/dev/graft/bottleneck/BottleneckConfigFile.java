package dev.graft.bottleneck;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * {@code adapter_config.json} in the form of {@code adapters} {@value #LIBRARY_VERSION}. Its {@code DoubleSeqBnConfig} is Houlsby's
 * placement, its {@code SeqBnConfig} Pfeiffer's, both with {@code original_ln_before=false}: the library's own default for the
 * latter feeds x + h to the module, not h.
 *
 * @param name of the adapter, which its tensors' names contain
 * @param hiddenSize d of the base
 * @param baseModel {@code model_name}, or null
 */
record BottleneckConfigFile(
        BottleneckConfig config,
        String name,
        int hiddenSize,
        @Nullable String baseModel) {
    private static final String LIBRARY_VERSION = "1.2.0";

    /** Fields that change what a module computes, with the values that Graft computes; where one is missing it has its default. */
    private static final Map<String, Object> REQUIRED = required();

    private static Map<String, Object> required() {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("non_linearity", "gelu");
        fields.put("original_ln_before", false);
        fields.put("original_ln_after", true);
        fields.put("ln_before", false);
        fields.put("ln_after", false);
        fields.put("is_parallel", false);
        fields.put("scaling", 1.0);
        fields.put("use_gating", false);
        fields.put("phm_layer", false);
        fields.put("leave_out", List.of());
        return fields;
    }

    /** What the library writes beside and Graft has no use for. */
    private static Map<String, @Nullable Object> unused() {
        Map<String, @Nullable Object> fields = new LinkedHashMap<>();
        fields.put("adapter_residual_before_ln", false);
        fields.put("cross_adapter", false);
        fields.put("dropout", 0.0);
        fields.put("factorized_phm_W", true);
        fields.put("factorized_phm_rule", false);
        fields.put("hypercomplex_nonlinearity", "glorot-uniform");
        fields.put("init_weights", "bert");
        fields.put("init_weights_seed", null);
        fields.put("inv_adapter", null);
        fields.put("inv_adapter_reduction_factor", null);
        fields.put("learn_phm", true);
        fields.put("phm_bias", true);
        fields.put("phm_c_init", "normal");
        fields.put("phm_dim", 4);
        fields.put("phm_init_range", 0.0001);
        fields.put("phm_rank", 1);
        fields.put("residual_before_ln", true);
        fields.put("shared_W_phm", false);
        fields.put("shared_phm_rule", true);
        fields.put("stochastic_depth", 0.0);
        return fields;
    }

    /** Writes the file. */
    void write(Path file, String modelType, String modelClass) {
        Map<String, @Nullable Object> fields = new TreeMap<>(unused());
        fields.putAll(REQUIRED);
        fields.put("mh_adapter", config.placement() == BottleneckConfig.Placement.HOULSBY);
        fields.put("output_adapter", true);
        fields.put("reduction_factor", reductionFactor(hiddenSize, config.size()));
        Map<String, @Nullable Object> json = new TreeMap<>();
        json.put("config", fields);
        json.put("hidden_size", hiddenSize);
        json.put("model_class", modelClass);
        json.put("model_name", baseModel);
        json.put("model_type", modelType);
        json.put("name", name);
        json.put("version", "adapters." + LIBRARY_VERSION);
        AtomicFiles.writeString(file, Json.pretty(json));
    }

    /** Whether {@code file} is there and has this form, not PEFT's. */
    static boolean isAt(Path file) {
        return Files.exists(file) && Json.readObject(file).path("config").isObject();
    }

    /** @throws InputException where the file is damaged, or needs what Graft does not support */
    static BottleneckConfigFile read(Path file) {
        ObjectNode json = Json.readObject(file);
        JsonNode fields = json.path("config");
        if (!fields.isObject()) {
            throw bad(
                    file,
                    "config",
                    "missing; give a folder of bottleneck modules, as train --method adapter writes it");
        }
        refuseUnsupported(file, json, fields);
        int hiddenSize = json.path("hidden_size").asInt();
        JsonNode factor = fields.path("reduction_factor");
        if (hiddenSize < 1 || !factor.isNumber() || !(factor.asDouble() > 0)) {
            throw bad(
                    file,
                    "hidden_size and reduction_factor",
                    "numbers above 0 are needed, as for a bottleneck of one size");
        }
        boolean afterAttention = fields.path("mh_adapter").asBoolean();
        if (!fields.path("output_adapter").asBoolean()) {
            throw bad(file, "output_adapter", "modules after attention alone are not supported");
        }
        BottleneckConfig config = new BottleneckConfig(
                size(hiddenSize, factor.asDouble()),
                afterAttention ? BottleneckConfig.Placement.HOULSBY : BottleneckConfig.Placement.PFEIFFER);
        JsonNode base = json.path("model_name");
        return new BottleneckConfigFile(
                config, json.path("name").asText(), hiddenSize, base.isTextual() ? base.asText() : null);
    }

    private static void refuseUnsupported(Path file, ObjectNode json, JsonNode fields) {
        JsonNode architecture = fields.path("architecture");
        if (architecture.isTextual()) {
            throw bad(file, "architecture", "'" + architecture.asText() + "' is not supported, bottleneck modules are");
        }
        if (json.path("version").asText("").isEmpty()) {
            throw bad(
                    file,
                    "version",
                    "missing, so this is an adapter of adapter-transformers, whose names meant other things");
        }
        REQUIRED.forEach((field, value) -> {
            JsonNode found = fields.path(field);
            boolean same = value instanceof Double number
                    ? found.asDouble(Double.NaN) == number
                    : found.equals(Json.mapper().valueToTree(value));
            if (!found.isMissingNode() && !same) {
                throw bad(
                        file,
                        field,
                        found + " is not supported, only " + Json.mapper().valueToTree(value) + " is");
            }
        });
        JsonNode invertible = fields.path("inv_adapter");
        if (!invertible.isMissingNode() && !invertible.isNull()) {
            throw bad(file, "inv_adapter", invertible + " is not supported");
        }
    }

    private static InputException bad(Path file, String field, String what) {
        return new InputException(file + ": " + field + ": " + what);
    }

    /** The library's bottleneck: {@code int(hidden_size // reduction_factor)} of Python, at least 1. */
    static int size(int hiddenSize, double factor) {
        double quotient = (hiddenSize - hiddenSize % factor) / factor;
        double floor = Math.floor(quotient);
        return Math.max(1, (int) (quotient - floor > 0.5 ? floor + 1 : floor));
    }

    /** The factor from which the library gets {@code size} again; whole where d is a multiple of it. */
    static Object reductionFactor(int hiddenSize, int size) {
        if (hiddenSize % size == 0) {
            return hiddenSize / size;
        }
        double factor = (double) hiddenSize / size;
        return size(hiddenSize, factor) == size ? factor : Math.nextDown(factor);
    }
}
