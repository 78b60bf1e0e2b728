package dev.graft.cli.run;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.ModulePattern;
import dev.graft.lora.ModulesToSave;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.SavableWeight;
import dev.graft.model.ConfigReader;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What {@code inspect} tells of an adapter folder.
 *
 * @param bytes of the weights file
 * @param base the base model's shape; null where it is not at hand
 */
public record AdapterFacts(
        PeftAdapter adapter, long bytes, @Nullable DecoderConfig base) {
    /**
     * Reads an adapter, and its base's configuration from {@code model} or, where that is null, from where the adapter says.
     */
    public static AdapterFacts read(Path folder, @Nullable Path model) {
        PeftAdapter adapter = PeftAdapter.read(folder);
        Path found = model == null ? findBase(adapter.base().model(), folder) : model;
        DecoderConfig base = found == null ? null : ConfigReader.read(found);
        if (base != null) {
            adapter.matches(Decoder.linearModules(base));
            adapter.checkSaved(Decoder.savableWeights(base));
        }
        return new AdapterFacts(adapter, FileSize.of(folder.resolve(PeftAdapter.WEIGHTS_FILE)), base);
    }

    /** The name in the configuration may be a hub's, a path from here, or one from the adapter's folder. */
    static @Nullable Path findBase(@Nullable String baseModel, Path folder) {
        if (baseModel == null) {
            return null;
        }
        try {
            return Stream.of(Path.of(baseModel), folder.resolve(baseModel))
                    .filter(candidate -> Files.exists(candidate.resolve("config.json")))
                    .findFirst()
                    .orElse(null);
        } catch (InvalidPathException noPath) {
            return null;
        }
    }

    private long stored() {
        return adapter.weights().values().stream()
                .mapToLong(values -> values.length)
                .sum();
    }

    /** Numbers that were trained. */
    private long trainable() {
        return stored() - storedTwice() - givenBack();
    }

    /** Numbers of A₀ and B₀ beside A and B, where the adapter was converted: half of the rank. */
    private long givenBack() {
        return adapter.convertedFrom() == null ? 0 : adapter.lowRankCount() / 2;
    }

    /** Numbers of weights that are tied to others: the file has them under both names. */
    private long storedTwice() {
        return base == null
                ? 0
                : adapter.config().modulesToSave().select(Decoder.savableWeights(base)).stream()
                        .filter(weight -> weight.tiedTo() != null)
                        .mapToLong(SavableWeight::size)
                        .sum();
    }

    private int layers() {
        return adapter.adaptedLayers().size();
    }

    /** How many layers of each name are adapted. */
    private Map<String, Integer> suffixes() {
        Map<String, Integer> counts = new TreeMap<>();
        adapter.adaptedLayers()
                .forEach(module -> counts.merge(module.substring(module.lastIndexOf('.') + 1), 1, Integer::sum));
        return counts;
    }

    /** As text. */
    public List<String> lines() {
        LoraConfig config = adapter.config();
        Table table = Table.ofTexts()
                .row(
                        "adapter",
                        (config.useDora() ? "DoRA" : "LoRA") + (config.rsLora() ? ", rank-stabilised (rsLoRA)" : ""))
                .row("rank", config.rank() + pattern(config.rankPattern()))
                .row("alpha", Units.plain(config.alpha()) + pattern(config.alphaPattern()))
                .row("dropout", Units.plain(config.dropout()))
                .row("targets", text(config.targets()));
        if (config.exclude() != null) {
            table.row("exclude", text(config.exclude()));
        }
        if (adapter.convertedFrom() != null) {
            table.row(
                    "converted from",
                    adapter.convertedFrom() + ": half of the rank was trained, half gives the base back what it took");
        }
        table.row("adapted layers", layers() + ": " + counts());
        if (!config.modulesToSave().isEmpty()) {
            table.row("trained whole", saved(config.modulesToSave()));
        }
        table.row("parameters", Units.count(trainable()) + share());
        if (adapter.convertedFrom() != null) {
            table.row("parameters stored", Units.count(stored()));
        }
        table.row("size", Units.bytes(bytes));
        table.row("base model", Objects.requireNonNullElse(adapter.base().model(), "not named"));
        table.row("base fingerprint", Objects.requireNonNullElse(adapter.base().hexFingerprint(), "none"));
        return table.lines();
    }

    private static String pattern(Map<String, ?> pattern) {
        return pattern.isEmpty() ? "" : ", but " + pattern;
    }

    private static String saved(ModulesToSave saved) {
        return String.join(",", saved.names()) + (saved.keepTies() ? ", ties kept" : "");
    }

    private String counts() {
        List<String> parts = new ArrayList<>();
        suffixes().forEach((suffix, count) -> parts.add(suffix + " " + count));
        return String.join(", ", parts);
    }

    private String share() {
        if (base == null) {
            return " (give --model for their share)";
        }
        return ", " + Units.share(trainable(), PlanReport.parameters(base) + trainable()) + " of all";
    }

    private static String text(ModulePattern pattern) {
        return switch (pattern) {
            case ModulePattern.AllLinear all -> "all-linear";
            case ModulePattern.Regex regex -> regex.expression();
            case ModulePattern.Suffixes suffixes -> String.join(",", suffixes.names());
        };
    }

    /** As JSON. */
    public ObjectNode json() {
        LoraConfig config = adapter.config();
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("kind", "adapter");
        json.put("rank", config.rank());
        json.put("alpha", config.alpha());
        json.put("dropout", config.dropout());
        json.put("rslora", config.rsLora());
        json.put("dora", config.useDora());
        json.put("targets", text(config.targets()));
        json.put("exclude", config.exclude() == null ? null : text(config.exclude()));
        json.set("rank_pattern", Json.mapper().valueToTree(config.rankPattern()));
        json.set("alpha_pattern", Json.mapper().valueToTree(config.alphaPattern()));
        json.put("converted_from", adapter.convertedFrom());
        json.set(
                "modules_to_save",
                Json.mapper().valueToTree(config.modulesToSave().names()));
        json.put("ensure_weight_tying", config.modulesToSave().keepTies());
        json.put("adapted_layers", layers());
        json.set("layers_by_name", Json.mapper().valueToTree(suffixes()));
        json.put("trainable_parameters", trainable());
        json.put("stored_parameters", stored());
        json.put(
                "trainable_share",
                base == null ? null : (Double) ((double) trainable() / (PlanReport.parameters(base) + trainable())));
        json.put("bytes", bytes);
        json.put("base_model", adapter.base().model());
        json.put("base_fingerprint", adapter.base().hexFingerprint());
        return json;
    }
}
