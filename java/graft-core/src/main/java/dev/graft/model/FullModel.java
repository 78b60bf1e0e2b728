package dev.graft.model;

import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.io.AtomicFiles;
import dev.graft.io.SafetensorsWriter;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraPass;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** A model all of whose weights are trained: pre-training, and full fine-tuning. */
public final class FullModel implements Trainable, AutoCloseable {
    private static final float INITIAL_STD = 0.02f;

    private final Engine engine;
    private final Precision precision;
    private final Workspace workspace;
    private final TrainableWeights weights;
    private final Decoder decoder;
    private final DType savedType;

    private FullModel(DecoderConfig config, Engine engine, Precision precision, DType savedType) {
        this.engine = engine;
        this.precision = precision;
        this.savedType = savedType;
        this.workspace = new Workspace(engine);
        this.weights = new TrainableWeights(config, workspace, precision);
        this.decoder = new Decoder(config, weights);
    }

    /**
     * A new model with random weights.
     *
     * @param savedType dtype of the checkpoint that {@link #save} writes
     */
    public static FullModel random(
            DecoderConfig config, Engine engine, Precision precision, DType savedType, long seed) {
        FullModel model = new FullModel(config, engine, precision, savedType);
        model.weights.initialise(engine, seed, INITIAL_STD);
        return model;
    }

    @Override
    public Engine engine() {
        return engine;
    }

    @Override
    public Precision precision() {
        return precision;
    }

    @Override
    public Decoder decoder() {
        return decoder;
    }

    @Override
    public FlatParameters parameters() {
        return weights.parameters();
    }

    @Override
    public List<LoraAdapter> adapters() {
        return List.of();
    }

    @Override
    public LoraPass pass(DecoderBuffers buffers, int rows, boolean training, long seed, int microStep) {
        return LoraPass.none();
    }

    @Override
    public SortedMap<String, String> identity() {
        SortedMap<String, String> identity = new TreeMap<>();
        identity.put("model", decoder.config().toString());
        identity.put("precision", precision.toString());
        return identity;
    }

    /** Writes {@code model.safetensors} and {@code config.json}. */
    @Override
    public void save(Path folder) {
        AtomicFiles.createDirectories(folder);
        try (Arena arena = Arena.ofConfined()) {
            List<SafetensorsWriter.Entry> entries = WeightShape.of(decoder.config()).stream()
                    .map(shape -> entry(shape, arena))
                    .toList();
            SafetensorsWriter.write(folder.resolve("model.safetensors"), Map.of("format", "pt"), entries);
        }
        ConfigWriter.write(folder.resolve("config.json"), decoder.config(), savedType);
    }

    private SafetensorsWriter.Entry entry(WeightShape shape, Arena arena) {
        FlatParameters parameters = weights.parameters();
        FlatParameters.Slot slot = parameters.slots().stream()
                .filter(candidate -> candidate.name().equals(shape.name()))
                .findFirst()
                .orElseThrow();
        MemorySegment bytes = arena.allocate(shape.size() * savedType.byteSize(), 8);
        HostFloats.write(engine.download(parameters.value(slot)), bytes, savedType, 0);
        return SafetensorsWriter.Entry.of(shape.name(), savedType, shape.storedShape(), bytes);
    }

    @Override
    public void close() {
        workspace.close();
    }
}
