package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Checkpoint;
import dev.graft.io.SafetensorsWriter;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraPass;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A model all of whose weights are trained: pre-training, and full fine-tuning. Weights, gradients and AdamW's moments are float32
 * whatever the checkpoint's dtype; {@link #save} rounds each weight to its stored dtype.
 */
public final class FullModel implements Trainable, AutoCloseable {
    private static final float INITIAL_STD = 0.02f;

    /** Where a model came from: its folder, the fingerprint of its weights then, and the dtype of each. */
    private record Source(Path folder, long fingerprint, Map<String, DType> types) {}

    private final Engine engine;
    private final Precision precision;
    private final Workspace workspace;
    private final TrainableWeights weights;
    private final Decoder decoder;
    private final DType savedType;
    private final @Nullable Source source;

    private FullModel(
            DecoderConfig config, Engine engine, Precision precision, DType savedType, @Nullable Source source) {
        this.engine = engine;
        this.precision = precision;
        this.savedType = savedType;
        this.source = source;
        this.workspace = new Workspace(engine);
        try {
            this.weights = new TrainableWeights(config, workspace, precision);
            this.decoder = new Decoder(config, weights);
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    /**
     * A new model with random weights.
     *
     * @param savedType dtype of the checkpoint that {@link #save} writes
     */
    public static FullModel random(
            DecoderConfig config, Engine engine, Precision precision, DType savedType, long seed) {
        FullModel model = new FullModel(config, engine, precision, savedType, null);
        return model.filled(() -> model.weights.initialise(engine, seed, INITIAL_STD));
    }

    /**
     * The weights of a checkpoint, copied to be trained further; the files are only read.
     *
     * @param precision of products and activations
     * @throws InputException where files are missing, damaged, or describe a model that is not supported
     */
    public static FullModel load(Path folder, Engine engine, Precision precision) {
        DecoderConfig config = ConfigReader.read(folder);
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            FrozenWeights.check(checkpoint, config, folder.toString());
            Map<String, DType> types = new TreeMap<>();
            WeightShape.of(config)
                    .forEach(shape -> types.put(
                            shape.name(), checkpoint.info(shape.name()).dtype()));
            Source source = new Source(folder, PretrainedModel.fingerprint(checkpoint, config), types);
            Precision used = PretrainedModel.supported(engine, precision);
            FullModel model = new FullModel(config, engine, used, DType.F32, source);
            return model.filled(() -> model.read(checkpoint));
        }
    }

    /** This model with its first values, or nothing left of it. */
    private FullModel filled(Runnable fill) {
        try {
            fill.run();
            return this;
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private void read(Checkpoint checkpoint) {
        for (FlatParameters.Slot slot : parameters().slots()) {
            DType stored = checkpoint.info(slot.name()).dtype();
            float[] values = HostFloats.read(checkpoint.data(slot.name()), stored, 0, slot.size());
            engine.upload(values, parameters().value(slot));
        }
        parameters().refresh(engine);
    }

    /** The flat parameters of such a model, from any allocator: also a planning one. */
    public static FlatParameters parameters(DecoderConfig config, Allocator allocator, Precision precision) {
        return new TrainableWeights(config, allocator, precision).parameters();
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
        identity.put("method", "full");
        identity.put("model", decoder.config().toString());
        identity.put("precision", precision.toString());
        if (source != null) {
            identity.put("base model's fingerprint", HexFormat.of().toHexDigits(source.fingerprint()));
        }
        return identity;
    }

    /**
     * Writes a checkpoint: {@code model.safetensors} and {@code config.json}, and what else the folder that this model was loaded
     * from holds, tokenizer files above all.
     *
     * @throws InputException where {@code folder} is the one it was loaded from, or cannot be written
     */
    @Override
    public void save(Path folder) {
        AtomicFiles.createDirectories(folder);
        if (source != null) {
            ModelFolder.requireOther(source.folder(), folder);
        }
        List<SafetensorsWriter.Entry> entries = new ArrayList<>();
        for (WeightShape shape : WeightShape.of(decoder.config())) {
            entries.add(new SafetensorsWriter.Entry(
                    shape.name(), type(shape), shape.storedShape(), channel -> write(channel, shape)));
        }
        SafetensorsWriter.write(folder.resolve(Checkpoint.SINGLE_FILE), Map.of("format", "pt"), entries);
        if (source == null) {
            ConfigWriter.write(folder.resolve("config.json"), decoder.config(), savedType);
        } else {
            ModelFolder.copyAllButWeights(source.folder(), folder, false);
        }
    }

    private DType type(WeightShape shape) {
        return source == null ? savedType : source.types().getOrDefault(shape.name(), savedType);
    }

    private void write(WritableByteChannel channel, WeightShape shape) throws IOException {
        DType type = type(shape);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(shape.size() * type.byteSize(), 8);
            HostFloats.write(engine.download(weights.value(shape.name())), bytes, type, 0);
            SafetensorsWriter.writeFully(channel, bytes);
        }
    }

    @Override
    public void close() {
        workspace.close();
    }
}
