package dev.graft.cli.run;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.common.InputException;
import dev.graft.data.ChatTemplate;
import dev.graft.io.Checkpoint;
import dev.graft.io.Json;
import dev.graft.model.ConfigReader;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import dev.graft.model.PretrainedModel;
import dev.graft.model.WeightShape;
import dev.graft.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What {@code inspect} tells of a model folder.
 *
 * @param parameters numbers by part of the model
 * @param tensorsByType how many tensors are stored in each dtype
 * @param files number of weight files
 * @param bytes of all weights
 * @param fingerprint of the weights; null where it was not asked for
 */
public record ModelFacts(
        Path folder,
        DecoderConfig config,
        Map<WeightShape.Kind, Long> parameters,
        Map<DType, Long> tensorsByType,
        int files,
        long bytes,
        boolean hasTokenizer,
        boolean hasChatTemplate,
        @Nullable Long fingerprint) {

    /** @throws InputException where the folder holds no model that Graft reads */
    public static ModelFacts read(Path folder, boolean withFingerprint) {
        DecoderConfig config = ConfigReader.read(folder);
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            FrozenWeights.check(checkpoint, config, folder.toString());
            Map<WeightShape.Kind, Long> parameters = new EnumMap<>(WeightShape.Kind.class);
            Map<DType, Long> types = new TreeMap<>();
            long bytes = 0;
            for (WeightShape shape : WeightShape.of(config)) {
                parameters.merge(shape.kind(), shape.size(), Long::sum);
                types.merge(checkpoint.info(shape.name()).dtype(), 1L, Long::sum);
                bytes += checkpoint.info(shape.name()).byteSize();
            }
            return new ModelFacts(
                    folder,
                    config,
                    parameters,
                    types,
                    checkpoint.files().size(),
                    bytes,
                    Files.exists(folder.resolve("tokenizer.json")),
                    hasChatTemplate(folder),
                    withFingerprint ? PretrainedModel.fingerprint(checkpoint, config) : null);
        }
    }

    private static boolean hasChatTemplate(Path folder) {
        try {
            ChatTemplate.load(folder);
            return true;
        } catch (InputException none) {
            return false;
        }
    }

    private long total() {
        return parameters.values().stream().mapToLong(Long::longValue).sum();
    }

    /** As text. */
    public List<String> lines() {
        Table facts = Table.ofTexts()
                .row("architecture", config.architecture().className())
                .row("layers", Integer.toString(config.layers()))
                .row("hidden size", config.hiddenSize() + ", MLP " + config.intermediateSize())
                .row(
                        "heads",
                        config.heads() + " of " + config.headDim() + ", " + config.keyValueHeads() + " key/value heads")
                .row("vocabulary", Units.count(config.vocabSize()))
                .row("positions", Units.count(config.maxPositions()) + windows())
                .row("dtype", types())
                .row("weights", Units.bytes(bytes) + " in " + Units.counted(files, "file"))
                .row("tokenizer", hasTokenizer ? "yes" : "no tokenizer.json")
                .row("chat template", hasChatTemplate ? "yes" : "no");
        if (fingerprint != null) {
            facts.row("fingerprint", HexFormat.of().toHexDigits(fingerprint));
        }
        Table counts = Table.ofNumbers().row("parameters", "", "");
        parameters.forEach(
                (kind, count) -> counts.row("  " + key(kind), Units.count(count), Units.share(count, total())));
        counts.row("  total", Units.count(total()), "");
        List<String> lines = new ArrayList<>(facts.lines());
        lines.add("");
        lines.addAll(counts.lines());
        if (config.tiedEmbeddings()) {
            lines.add("the output head is the embedding (tied)");
        }
        return lines;
    }

    private String windows() {
        int largest =
                config.windows().stream().mapToInt(Integer::intValue).max().orElse(0);
        long windowed = config.windows().stream().filter(window -> window > 0).count();
        return largest == 0 ? "" : ", sliding window of " + largest + " in " + Units.counted(windowed, "layer");
    }

    private String types() {
        if (tensorsByType.size() == 1) {
            return tensorsByType.keySet().iterator().next().toString();
        }
        List<String> parts = new ArrayList<>();
        tensorsByType.forEach((type, count) -> parts.add(type + " (" + Units.counted(count, "tensor") + ")"));
        return String.join(", ", parts);
    }

    private static String key(WeightShape.Kind kind) {
        return kind.name().toLowerCase(Locale.ROOT);
    }

    /** As JSON. */
    public ObjectNode json() {
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("kind", "model");
        json.put("architecture", config.architecture().className());
        json.put("layers", config.layers());
        json.put("hidden_size", config.hiddenSize());
        json.put("intermediate_size", config.intermediateSize());
        json.put("heads", config.heads());
        json.put("key_value_heads", config.keyValueHeads());
        json.put("head_dim", config.headDim());
        json.put("vocab_size", config.vocabSize());
        json.put("max_positions", config.maxPositions());
        json.put("tied_embeddings", config.tiedEmbeddings());
        ObjectNode kinds = json.putObject("parameters");
        parameters.forEach((kind, count) -> kinds.put(key(kind), count));
        kinds.put("total", total());
        ObjectNode types = json.putObject("tensors_by_dtype");
        tensorsByType.forEach((type, count) -> types.put(type.toString(), count));
        json.put("files", files);
        json.put("bytes", bytes);
        json.put("tokenizer", hasTokenizer);
        json.put("chat_template", hasChatTemplate);
        json.put("fingerprint", fingerprint == null ? null : HexFormat.of().toHexDigits(fingerprint));
        return json;
    }
}
