package dev.graft.lora;

import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.io.AdapterBase;
import dev.graft.io.AtomicFiles;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.io.TensorInfo;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A LoRA adapter on disk, as PEFT writes and reads it: {@code adapter_config.json} and {@code adapter_model.safetensors} with keys
 * {@code base_model.model.<module>.lora_A.weight} [r, in] and {@code .lora_B.weight} [out, r], with DoRA also
 * {@code .lora_magnitude_vector} [out], and {@code base_model.model.<weight>} for weights that are trained whole.
 *
 * @param folder where it was read from
 * @param config its configuration
 * @param weights in float32: A, B and m by {@code <module>.lora_A.weight}, {@code .lora_B.weight} and
 *     {@code .lora_magnitude_vector}, weights trained whole by their own names
 * @param shapes of the weights: rows and columns, or a vector's length
 * @param base what it was trained on, named by {@code base_model_name_or_path}
 * @param convertedFrom the start by which it took over a part of W0, before it was made plain LoRA of twice the rank; null where
 *     it was trained as it is, and for adapters that other tools wrote
 */
public record PeftAdapter(
        Path folder,
        LoraConfig config,
        Map<String, float[]> weights,
        Map<String, List<Integer>> shapes,
        AdapterBase base,
        @Nullable String convertedFrom) {

    public static final String CONFIG_FILE = "adapter_config.json";
    public static final String WEIGHTS_FILE = "adapter_model.safetensors";

    private static final String PREFIX = "base_model.model.";
    private static final String CONVERTED_KEY = "graft_converted_from";
    private static final String A = ".lora_A.weight";
    private static final String B = ".lora_B.weight";

    /** @throws InputException where files are missing or damaged, or need what Graft does not support */
    public static PeftAdapter read(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new InputException(folder + ": no such adapter folder; --adapter takes one with " + CONFIG_FILE
                    + " and " + WEIGHTS_FILE);
        }
        PeftConfigFile configFile = PeftConfigFile.read(folder.resolve(CONFIG_FILE));
        Map<String, float[]> weights = new LinkedHashMap<>();
        Map<String, List<Integer>> shapes = new LinkedHashMap<>();
        Path file = folder.resolve(WEIGHTS_FILE);
        AdapterBase base;
        String convertedFrom;
        try (SafetensorsFile tensors = SafetensorsFile.open(file)) {
            for (TensorInfo info : tensors.tensors().values()) {
                // PEFT also stores the frozen output head when it is a target
                if (info.name().endsWith(".base_layer.weight")) {
                    continue;
                }
                String name = checkedName(file, info, configFile.config().modulesToSave());
                shapes.put(name, info.shape().stream().map(Math::toIntExact).toList());
                weights.put(
                        name,
                        HostFloats.read(tensors.data(info.name()), info.dtype(), 0, Math.toIntExact(info.elements())));
            }
            base = AdapterBase.of(configFile.baseModel(), tensors.metadata());
            convertedFrom = tensors.metadata().get(CONVERTED_KEY);
        }
        return new PeftAdapter(folder, configFile.config(), weights, shapes, base, convertedFrom);
    }

    private static String checkedName(Path file, TensorInfo info, ModulesToSave saved) {
        boolean isMatrix = info.name().endsWith(A) || info.name().endsWith(B);
        boolean isVector = info.name().endsWith(LoraAdapter.MAGNITUDE);
        boolean isLora =
                isMatrix ? info.shape().size() == 2 : isVector && info.shape().size() == 1;
        boolean isSaved = !saved.isEmpty() && !isLowRank(info.name());
        if (!info.name().startsWith(PREFIX)
                || !(isLora || isSaved)
                || !info.dtype().isFloat()) {
            throw new InputException(file + ": " + info.name() + " " + info.dtype() + info.shape()
                    + " is no LoRA A or B matrix and no DoRA magnitude; Graft reads LoRA and DoRA adapters");
        }
        return info.name().substring(PREFIX.length());
    }

    /** Whether a tensor is part of an adapted layer, and not a weight that is trained whole. */
    private static boolean isLowRank(String name) {
        return name.contains(".lora_");
    }

    /**
     * The modules of {@code modules} that this adapter adapts. Its configuration, its tensors and the model must agree exactly:
     * PEFT only warns where they do not, and then runs the base model unadapted.
     *
     * @throws InputException naming missing, unexpected or misshapen tensors
     */
    public List<TargetMatcher.Match> matches(List<LinearModule> modules) {
        List<TargetMatcher.Match> matches = TargetMatcher.select(config, modules);
        Map<String, List<Integer>> expected = new LinkedHashMap<>();
        for (TargetMatcher.Match match : matches) {
            LinearModule module = match.module();
            expected.put(module.name() + A, List.of(match.rank(), module.in()));
            expected.put(module.name() + B, List.of(module.out(), match.rank()));
            if (config.useDora()) {
                expected.put(module.name() + LoraAdapter.MAGNITUDE, List.of(module.out()));
            }
        }
        requireExactly(expected, true);
        return matches;
    }

    /**
     * Checks that the weights trained whole are those that the configuration means in a model of {@code weights}, and that tied ones
     * agree.
     *
     * @throws InputException naming missing, unexpected or misshapen tensors
     */
    public void checkSaved(List<SavableWeight> weights) {
        List<SavableWeight> saved = config.modulesToSave().select(weights);
        Map<String, List<Integer>> expected = new LinkedHashMap<>();
        saved.forEach(weight -> expected.put(weight.name(), weight.shape()));
        requireExactly(expected, false);
        for (SavableWeight weight : saved) {
            String original = weight.tiedTo();
            if (original != null && !Arrays.equals(this.weights.get(weight.name()), this.weights.get(original))) {
                throw new InputException(folder + ": " + weight.name() + " and " + original
                        + " differ, though ensure_weight_tying makes them one");
            }
        }
    }

    /** Holds the tensors of one kind to names and shapes. */
    private void requireExactly(Map<String, List<Integer>> expected, boolean lowRank) {
        Set<String> present = shapes.keySet().stream()
                .filter(name -> isLowRank(name) == lowRank)
                .collect(Collectors.toCollection(LinkedHashSet::new));
        complain("missing tensors", expected.keySet(), present);
        complain("tensors that the model has no place for", present, expected.keySet());
        expected.forEach((name, shape) -> {
            if (!shape.equals(shapes.get(name))) {
                throw new InputException(
                        folder + ": " + name + " has shape " + shapes.get(name) + ", this base model needs " + shape
                                + "; the adapter was trained on another base" + base.hint());
            }
        });
    }

    /** Full names of the layers that it adapts. */
    public List<String> adaptedLayers() {
        return shapes.keySet().stream()
                .filter(name -> name.endsWith(A))
                .map(name -> name.substring(0, name.length() - A.length()))
                .toList();
    }

    /** Numbers of all A and B together. */
    public long lowRankCount() {
        return weights.entrySet().stream()
                .filter(entry -> entry.getKey().endsWith(A) || entry.getKey().endsWith(B))
                .mapToLong(entry -> entry.getValue().length)
                .sum();
    }

    private void complain(String what, Set<String> wanted, Set<String> present) {
        List<String> lacking =
                wanted.stream().filter(name -> !present.contains(name)).toList();
        if (!lacking.isEmpty()) {
            throw new InputException(folder + ": " + lacking.size() + " " + what + ", such as " + lacking.getFirst()
                    + "; the adapter does not fit this base model" + base.hint());
        }
    }

    /**
     * Writes an adapter: both files atomically, the weights first, so that a folder with a configuration is whole. What took over
     * a part of W0 is written as plain LoRA of twice the rank ({@link LoraAdapter#saved}), which fits the base as it is.
     *
     * @param baseModel {@code base_model_name_or_path}
     * @param baseFingerprint goes into the safetensors metadata, which other readers ignore
     */
    public static void write(Path folder, LoraAdapter adapter, Engine engine, String baseModel, long baseFingerprint) {
        AtomicFiles.createDirectories(folder);
        try (Arena arena = Arena.ofConfined()) {
            List<SafetensorsWriter.Entry> entries = new ArrayList<>();
            for (LoraModule module : adapter.modules()) {
                LowRankFactors factors = adapter.saved(engine, module);
                LinearModule layer = module.module();
                entries.add(
                        entry(arena, layer.name() + A, List.of((long) factors.rank(), (long) layer.in()), factors.a()));
                entries.add(entry(
                        arena, layer.name() + B, List.of((long) layer.out(), (long) factors.rank()), factors.b()));
                if (module.magnitude() != null) {
                    float[] lengths = engine.download(adapter.parameters().value(module.magnitude()));
                    entries.add(entry(arena, module.magnitude().name(), List.of((long) lengths.length), lengths));
                }
            }
            for (SavedWeight saved : adapter.savedWeights()) { // a tied one under both its names
                List<Long> shape =
                        saved.weight().shape().stream().map(Integer::longValue).toList();
                entries.add(entry(
                        arena,
                        saved.name(),
                        shape,
                        engine.download(adapter.parameters().value(saved.slot()))));
            }
            Map<String, String> metadata = new TreeMap<>();
            metadata.put("format", "pt");
            AdapterBase.putFingerprint(metadata, baseFingerprint);
            String convertedFrom = adapter.convertedFrom();
            if (convertedFrom != null) {
                metadata.put(CONVERTED_KEY, convertedFrom);
            }
            SafetensorsWriter.write(folder.resolve(WEIGHTS_FILE), metadata, entries);
        }
        List<String> names = adapter.modules().stream().map(LoraModule::name).toList();
        PeftConfigFile.write(folder.resolve(CONFIG_FILE), adapter.savedConfig(), names, baseModel);
    }

    private static SafetensorsWriter.Entry entry(Arena arena, String name, List<Long> shape, float[] values) {
        MemorySegment bytes = arena.allocate(4L * values.length, 8);
        HostFloats.write(values, bytes, DType.F32, 0);
        return SafetensorsWriter.Entry.of(PREFIX + name, DType.F32, shape, bytes);
    }
}
