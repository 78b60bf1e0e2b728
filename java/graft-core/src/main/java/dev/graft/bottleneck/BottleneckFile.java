package dev.graft.bottleneck;

import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.io.AdapterBase;
import dev.graft.io.AtomicFiles;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.io.TensorInfo;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Bottleneck modules on disk, as AdapterHub's {@code adapters} writes them with {@code use_safetensors=True}:
 * {@code adapter_config.json} and {@code adapter.safetensors} with keys
 * {@code model.layers.<i>.attention_adapters.adapters.<name>.adapter_down.0.weight} [size, d], {@code .adapter_down.0.bias} [size],
 * {@code .adapter_up.weight} [d, size] and {@code .adapter_up.bias} [d], and the same under {@code output_adapters}. The library knows
 * Llama and Mistral; for Qwen, which it does not, these are the names that it would give.
 *
 * @param folder where it was read from
 * @param config its configuration
 * @param weights in float32, by name without {@code .adapters.<name>}
 * @param hiddenSize d of the base it was trained on
 * @param base what it was trained on
 */
public record BottleneckFile(
        Path folder, BottleneckConfig config, Map<String, float[]> weights, int hiddenSize, AdapterBase base) {

    public static final String CONFIG_FILE = "adapter_config.json";
    public static final String WEIGHTS_FILE = "adapter.safetensors";

    /** The name that Graft gives its adapters. */
    private static final String NAME = "graft";

    /** What a file tells of its base. */
    public record Base(String modelType, String modelClass, String name, long fingerprint) {}

    /** Whether {@code folder} holds bottleneck modules rather than a LoRA adapter. */
    public static boolean isAt(Path folder) {
        return BottleneckConfigFile.isAt(folder.resolve(CONFIG_FILE));
    }

    /** @throws InputException where files are missing or damaged, or need what Graft does not support */
    public static BottleneckFile read(Path folder) {
        BottleneckConfigFile configFile = BottleneckConfigFile.read(folder.resolve(CONFIG_FILE));
        Path file = folder.resolve(WEIGHTS_FILE);
        if (!Files.exists(file) && Files.exists(folder.resolve("pytorch_adapter.bin"))) {
            throw new InputException(
                    folder + ": pytorch_adapter.bin cannot be read; save the adapter with use_safetensors=True");
        }
        String inserted = ".adapters." + configFile.name() + ".";
        Map<String, float[]> weights = new LinkedHashMap<>();
        AdapterBase base;
        try (SafetensorsFile tensors = SafetensorsFile.open(file)) {
            for (TensorInfo info : tensors.tensors().values()) {
                if (!info.name().contains(inserted) || !info.dtype().isFloat()) {
                    throw new InputException(file + ": " + info.name() + " " + info.dtype() + info.shape()
                            + " is no part of a bottleneck module called '" + configFile.name() + "'");
                }
                weights.put(
                        info.name().replace(inserted, "."),
                        HostFloats.read(tensors.data(info.name()), info.dtype(), 0, Math.toIntExact(info.elements())));
            }
            base = AdapterBase.of(configFile.baseModel(), tensors.metadata());
        }
        return new BottleneckFile(folder, configFile.config(), weights, configFile.hiddenSize(), base);
    }

    /**
     * Checks that the file has what the modules of a base need, and nothing else.
     *
     * @param baseHiddenSize d of the base
     * @throws InputException naming a missing, unexpected or misshapen tensor
     */
    public void requireFits(int baseHiddenSize, int layers) {
        List<FlatParameters.Slot> slots = BottleneckAdapter.slots(config, baseHiddenSize, layers);
        for (FlatParameters.Slot slot : slots) {
            float[] values = weights.get(slot.name());
            if (values == null || values.length != slot.size()) {
                throw new InputException(folder + ": " + slot.name() + " has "
                        + (values == null ? "no" : Integer.toString(values.length)) + " numbers, this base model needs "
                        + slot.size() + "; the adapter was trained on another base" + base.hint());
            }
        }
        if (weights.size() > slots.size()) {
            throw new InputException(folder + ": " + weights.size() + " tensors, this base model has a place for "
                    + slots.size() + "; the adapter was trained on another base" + base.hint());
        }
    }

    /** Writes modules: both files atomically, the weights first, so that a folder with a configuration is whole. */
    public static void write(Path folder, BottleneckAdapter adapter, Engine engine, Base base) {
        AtomicFiles.createDirectories(folder);
        FlatParameters parameters = adapter.parameters();
        try (Arena arena = Arena.ofConfined()) {
            List<SafetensorsWriter.Entry> entries = new ArrayList<>();
            for (FlatParameters.Slot slot : parameters.slots()) {
                MemorySegment bytes = arena.allocate(4L * slot.size(), 8);
                HostFloats.write(engine.download(parameters.value(slot)), bytes, DType.F32, 0);
                entries.add(SafetensorsWriter.Entry.of(storedName(slot), DType.F32, storedShape(slot), bytes));
            }
            Map<String, String> metadata = new TreeMap<>();
            metadata.put("format", "pt");
            AdapterBase.putFingerprint(metadata, base.fingerprint());
            SafetensorsWriter.write(folder.resolve(WEIGHTS_FILE), metadata, entries);
        }
        new BottleneckConfigFile(adapter.config(), NAME, adapter.hiddenSize(), base.name())
                .write(folder.resolve(CONFIG_FILE), base.modelType(), base.modelClass());
    }

    private static String storedName(FlatParameters.Slot slot) {
        int module = slot.name().indexOf("_adapters.") + "_adapters".length();
        return slot.name().substring(0, module) + ".adapters." + NAME
                + slot.name().substring(module);
    }

    private static List<Long> storedShape(FlatParameters.Slot slot) {
        return slot.name().endsWith(".bias")
                ? List.of((long) slot.cols())
                : List.of((long) slot.rows(), (long) slot.cols());
    }
}
