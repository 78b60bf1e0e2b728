package dev.graft.lora;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code adapter_config.json} in the form of PEFT {@value #PEFT_VERSION}.
 *
 * @param baseModel {@code base_model_name_or_path}, or null
 */
record PeftConfigFile(LoraConfig config, @Nullable String baseModel) {
    private static final Logger log = LoggerFactory.getLogger(PeftConfigFile.class);

    /** The release whose files these are. */
    private static final String PEFT_VERSION = "0.21.0";

    /** Fields that change what an adapter computes, with the values that mean "not used". */
    private static final List<String> UNSUPPORTED = List.of(
            "alora_invocation_tokens",
            "arrow_config",
            "fan_in_fan_out",
            "kasa_config",
            "layer_replication",
            "lora_bias",
            "monteclora_config",
            "target_parameters",
            "trainable_token_indices",
            "use_bdlora",
            "use_qalora",
            "velora_config");

    /** Everything PEFT writes that Graft has no use for. */
    private static final List<String> NULL_FIELDS = List.of(
            "alora_invocation_tokens",
            "arrow_config",
            "auto_mapping",
            "corda_config",
            "eva_config",
            "kasa_config",
            "layer_replication",
            "layers_pattern",
            "layers_to_transform",
            "lora_ga_config",
            "megatron_config",
            "monteclora_config",
            "revision",
            "target_parameters",
            "trainable_token_indices",
            "use_bdlora",
            "velora_config");

    static PeftConfigFile read(Path file) {
        ObjectNode json = Json.readObject(file);
        return new Reader(file, json).read();
    }

    /** @param modules names of the adapted layers */
    static void write(Path file, LoraConfig config, List<String> modules, String baseModel) {
        Map<String, @Nullable Object> json = new TreeMap<>();
        NULL_FIELDS.forEach(field -> json.put(field, null));
        for (String field : List.of("fan_in_fan_out", "lora_bias", "use_qalora")) {
            json.put(field, false);
        }
        Map<String, Object> alphas = new LinkedHashMap<>();
        TargetMatcher.sortable(config.alphaPattern(), modules)
                .forEach((key, alpha) -> alphas.put(key, wholeIfPossible(alpha)));
        json.put("alpha_pattern", alphas);
        json.put("base_model_name_or_path", baseModel);
        json.put("bias", "none");
        ModulesToSave saved = config.modulesToSave();
        json.put("ensure_weight_tying", saved.keepTies());
        json.put("exclude_modules", patternValue(config.exclude()));
        json.put("inference_mode", true);
        json.put("init_lora_weights", config.init().equals(AdapterInit.GAUSSIAN) ? "gaussian" : true);
        json.put("loftq_config", Map.of());
        json.put("lora_alpha", wholeIfPossible(config.alpha()));
        json.put("lora_dropout", config.dropout());
        json.put("megatron_core", "megatron.core");
        json.put("modules_to_save", saved.isEmpty() ? null : saved.names());
        json.put("peft_type", "LORA");
        json.put("peft_version", PEFT_VERSION);
        json.put("qalora_group_size", 16);
        json.put("r", config.rank());
        json.put("rank_pattern", TargetMatcher.sortable(config.rankPattern(), modules));
        json.put("target_modules", patternValue(config.targets().saved(modules)));
        json.put("task_type", "CAUSAL_LM");
        json.put("use_dora", config.useDora());
        json.put("use_rslora", config.rsLora());
        AtomicFiles.writeString(file, Json.pretty(json));
    }

    private static Object wholeIfPossible(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e15 ? (Object) (long) value : (Object) value;
    }

    private static @Nullable Object patternValue(@Nullable ModulePattern pattern) {
        return switch (pattern) {
            case null -> null;
            case ModulePattern.AllLinear all -> "all-linear";
            case ModulePattern.Regex regex -> regex.expression();
            case ModulePattern.Suffixes suffixes -> suffixes.names();
        };
    }

    private record Reader(Path file, ObjectNode json) {
        PeftConfigFile read() {
            refuseUnsupported();
            LoraConfig.Builder config = LoraConfig.builder()
                    .rank(rank())
                    .alpha(number("lora_alpha", 8))
                    .dropout(number("lora_dropout", 0))
                    .rsLora(json.path("use_rslora").asBoolean(false))
                    .dora(json.path("use_dora").asBoolean(false))
                    .rankPattern(map("rank_pattern", JsonNode::asInt))
                    .alphaPattern(map("alpha_pattern", JsonNode::asDouble))
                    .init(init())
                    .modulesToSave(modulesToSave());
            ModulePattern targets = pattern("target_modules");
            if (targets == null) {
                throw bad("target_modules", "missing; it says which layers are adapted");
            }
            config.targets(targets);
            config.exclude(pattern("exclude_modules"));
            try {
                return new PeftConfigFile(config.build(), text("base_model_name_or_path"));
            } catch (InputException e) {
                throw new InputException(file + ": " + e.getMessage(), e);
            }
        }

        private void refuseUnsupported() {
            String type = json.path("peft_type").asText("");
            if (!type.equals("LORA")) {
                throw bad("peft_type", "'" + type + "' is not supported, only LORA is");
            }
            String bias = json.path("bias").asText("none");
            if (!bias.equals("none")) {
                throw bad("bias", "'" + bias + "' is not supported, only none is");
            }
            for (String field : UNSUPPORTED) {
                if (isUsed(json.path(field))) {
                    throw bad(field, json.path(field) + " is not supported");
                }
            }
            if (isUsed(json.path("layers_to_transform"))) {
                throw bad(
                        "layers_to_transform",
                        "is not supported; list the full module names in target_modules instead");
            }
            json.fieldNames().forEachRemaining(field -> {
                if (!KnownFields.NAMES.contains(field)) {
                    log.warn("{}: unknown field '{}' is ignored", file, field);
                }
            });
        }

        private static boolean isUsed(JsonNode value) {
            return !(value.isMissingNode()
                    || value.isNull()
                    || (value.isBoolean() && !value.asBoolean())
                    || (value.isContainerNode() && value.isEmpty()));
        }

        private AdapterInit init() {
            JsonNode value = json.path("init_lora_weights");
            if (value.isTextual()) {
                return switch (value.asText()) {
                    case "gaussian" -> AdapterInit.GAUSSIAN;
                    // these begin elsewhere but leave the base as it is
                    case "eva", "orthogonal" -> AdapterInit.KAIMING;
                    // these start by changing the base's weights, so the stored A and B belong to another base
                    default ->
                        throw bad(
                                "init_lora_weights",
                                "'" + value.asText()
                                        + "' changes the base model; convert the adapter to plain LoRA first");
                };
            }
            return AdapterInit.KAIMING;
        }

        private ModulesToSave modulesToSave() {
            JsonNode value = json.path("modules_to_save");
            List<String> names = new ArrayList<>();
            for (JsonNode name : value) {
                names.add(name.asText());
            }
            if (isUsed(value) && names.isEmpty()) {
                throw bad("modules_to_save", value + " is not a list of module names");
            }
            try {
                return new ModulesToSave(names, json.path("ensure_weight_tying").asBoolean(false));
            } catch (InputException e) {
                throw new InputException(file + ": " + e.getMessage(), e);
            }
        }

        private @Nullable ModulePattern pattern(String field) {
            JsonNode value = json.path(field);
            if (value.isTextual()) {
                String text = value.asText();
                return text.equals("all-linear") ? new ModulePattern.AllLinear() : new ModulePattern.Regex(text);
            }
            if (!value.isArray() || value.isEmpty()) {
                return null;
            }
            List<String> names = new ArrayList<>();
            value.forEach(name -> names.add(name.asText()));
            return new ModulePattern.Suffixes(names);
        }

        private int rank() {
            double rank = number("r", 8);
            if (rank != (int) rank) {
                throw bad("r", rank + " is not a whole number");
            }
            return (int) rank;
        }

        private double number(String field, double otherwise) {
            JsonNode value = json.path(field);
            if (value.isMissingNode() || value.isNull()) {
                return otherwise;
            }
            if (!value.isNumber()) {
                throw bad(field, value + " is not a number");
            }
            return value.asDouble();
        }

        private <T> Map<String, T> map(String field, Function<JsonNode, T> read) {
            Map<String, T> values = new LinkedHashMap<>();
            json.path(field).properties().forEach(entry -> {
                if (!entry.getValue().isNumber()) {
                    throw bad(field, entry.getKey() + ": " + entry.getValue() + " is not a number");
                }
                values.put(entry.getKey(), read.apply(entry.getValue()));
            });
            return values;
        }

        private @Nullable String text(String field) {
            return json.path(field).isTextual() ? json.path(field).asText() : null;
        }

        private InputException bad(String field, String what) {
            return new InputException(file + ": " + field + ": " + what);
        }
    }

    /** All fields of PEFT's LoraConfig. */
    private static final class KnownFields {
        static final Set<String> NAMES = names();

        private static Set<String> names() {
            Set<String> names = new HashSet<>(NULL_FIELDS);
            names.addAll(UNSUPPORTED);
            names.addAll(List.of(
                    "alpha_pattern",
                    "base_model_name_or_path",
                    "bias",
                    "ensure_weight_tying",
                    "exclude_modules",
                    "inference_mode",
                    "init_lora_weights",
                    "layers_pattern",
                    "layers_to_transform",
                    "loftq_config",
                    "lora_alpha",
                    "lora_dropout",
                    "megatron_core",
                    "modules_to_save",
                    "peft_type",
                    "peft_version",
                    "qalora_group_size",
                    "r",
                    "rank_pattern",
                    "runtime_config",
                    "target_modules",
                    "task_type",
                    "use_dora",
                    "use_rslora"));
            return names;
        }
    }
}
