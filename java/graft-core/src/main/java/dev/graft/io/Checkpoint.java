package dev.graft.io;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.common.InputException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * The weights of a Hugging Face model folder: {@code model.safetensors}, or the shards that
 * {@code model.safetensors.index.json} names; where both are there the single file counts, as in transformers. Looks like one
 * file to its reader.
 */
public final class Checkpoint implements TensorStore {
    /** The weights of a model that fits one file. */
    public static final String SINGLE_FILE = "model.safetensors";
    /** Which shard holds which tensor: {@code {"metadata": {...}, "weight_map": {tensor: shard}}}. */
    public static final String INDEX_FILE = "model.safetensors.index.json";

    private final Path folder;
    private final List<SafetensorsFile> files;
    private final Map<String, SafetensorsFile> fileOf;

    private Checkpoint(Path folder, List<SafetensorsFile> files) {
        this.folder = folder;
        this.files = List.copyOf(files);
        Map<String, SafetensorsFile> owners = new LinkedHashMap<>();
        for (SafetensorsFile file : files) {
            file.names().forEach(name -> owners.put(name, file));
        }
        this.fileOf = Collections.unmodifiableMap(owners);
    }

    /**
     * Opens the weights in {@code folder}, every shard at once; index and shards must agree on every tensor.
     *
     * @throws InputException if there are no safetensors weights, a file is damaged, a shard is missing or lies outside the
     *     folder, or a tensor is in the index but not in its shard or the other way round
     */
    public static Checkpoint open(Path folder) {
        if (!Files.exists(folder)) {
            throw new InputException(folder + " does not exist; give the folder of a model");
        }
        if (!Files.isDirectory(folder)) {
            throw new InputException(folder + " is a file; give the folder of the model that it lies in");
        }
        Path single = folder.resolve(SINGLE_FILE);
        if (Files.exists(single)) {
            return new Checkpoint(folder, List.of(SafetensorsFile.open(single)));
        }
        Path index = folder.resolve(INDEX_FILE);
        if (Files.exists(index)) {
            return openShards(folder, index);
        }
        throw noWeights(folder);
    }

    /** The files in order of their names; a single one without an index. */
    public List<SafetensorsFile> files() {
        return files;
    }

    @Override
    public Set<String> names() {
        return fileOf.keySet();
    }

    @Override
    public TensorInfo info(String name) {
        return fileOf(name).info(name);
    }

    @Override
    public MemorySegment data(String name) {
        return fileOf(name).data(name);
    }

    /** Closing twice does no harm. */
    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
    }

    private SafetensorsFile fileOf(String name) {
        SafetensorsFile file = fileOf.get(name);
        if (file == null) {
            throw new InputException(folder + ": no tensor " + Text.quote(name) + " among the " + fileOf.size()
                    + " of this model; check that config.json belongs to these weights");
        }
        return file;
    }

    private static Checkpoint openShards(Path folder, Path index) {
        Map<String, String> shardOf = readWeightMap(index);
        List<SafetensorsFile> open = new ArrayList<>();
        try {
            for (String shard : new TreeSet<>(shardOf.values())) {
                SafetensorsFile file = SafetensorsFile.open(shardPath(folder, index, shard));
                open.add(file);
                requireAgreement(index, shardOf, shard, file);
            }
            return new Checkpoint(folder, open);
        } catch (RuntimeException | Error e) {
            open.forEach(SafetensorsFile::close);
            throw e;
        }
    }

    private static Map<String, String> readWeightMap(Path index) {
        JsonNode weightMap = Json.readObject(index).path("weight_map");
        if (!weightMap.isObject() || weightMap.isEmpty()) {
            throw badIndex(index, "it has no \"weight_map\" of tensors and shards");
        }
        Map<String, String> shardOf = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
            if (!entry.getValue().isTextual()) {
                throw badIndex(index, "tensor " + Text.quote(entry.getKey()) + " has no shard's name");
            }
            shardOf.put(entry.getKey(), entry.getValue().textValue());
        }
        return shardOf;
    }

    /** Links may lead out of the folder, as they do in the Hugging Face cache; names in the index may not. */
    private static Path shardPath(Path folder, Path index, String shard) {
        Path root = folder.toAbsolutePath().normalize();
        Path resolved;
        try {
            resolved = root.resolve(shard).normalize();
        } catch (InvalidPathException e) {
            throw badIndex(index, Text.quote(shard) + " is not a file name");
        }
        if (!resolved.startsWith(root)
                || resolved.equals(root)
                || Path.of(shard).isAbsolute()) {
            throw badIndex(index, "shard " + Text.quote(shard) + " lies outside the model folder");
        }
        if (!Files.exists(resolved)) {
            throw new InputException(index + ": shard " + Text.quote(shard)
                    + " is missing from the folder; download it again, all shards are needed");
        }
        return folder.resolve(shard);
    }

    private static void requireAgreement(Path index, Map<String, String> shardOf, String shard, SafetensorsFile file) {
        shardOf.forEach((tensor, owner) -> {
            if (owner.equals(shard) && !file.tensors().containsKey(tensor)) {
                throw badIndex(index, "tensor " + Text.quote(tensor) + " is not in its shard " + Text.quote(shard));
            }
        });
        for (String tensor : file.names()) {
            String owner = shardOf.get(tensor);
            if (!shard.equals(owner)) {
                String other = owner == null ? "the index does not name it" : "the index puts it in " + owner;
                throw badIndex(
                        index,
                        "tensor " + Text.quote(tensor) + " is in shard " + Text.quote(shard) + " but "
                                + Text.oneLine(other));
            }
        }
    }

    private static InputException badIndex(Path index, String fault) {
        return new InputException(
                index + ": " + fault + "; download the index and the shards again, from the same revision");
    }

    private static InputException noWeights(Path folder) {
        List<String> names;
        try (Stream<Path> entries = Files.list(folder)) {
            names = entries.map(entry -> entry.getFileName().toString())
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw Faults.reading(folder, e);
        }
        if (names.contains("adapter_model.safetensors")) {
            return new InputException(folder + " holds an adapter, not a model; give the folder of its base model");
        }
        return names.stream()
                .filter(name -> name.startsWith("pytorch_model") && name.contains(".bin"))
                .findFirst()
                .map(name -> new InputException(folder + " has its weights in " + name
                        + ", which is not read; convert them to safetensors, in Python:"
                        + " AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR)"))
                .orElseGet(() -> new InputException(folder + " has neither " + SINGLE_FILE + " nor " + INDEX_FILE
                        + "; give the folder of a Hugging Face model"));
    }
}
