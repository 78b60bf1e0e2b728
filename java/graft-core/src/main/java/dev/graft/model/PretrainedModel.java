package dev.graft.model;

import dev.graft.bottleneck.BottleneckAdapter;
import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.common.InputException;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.io.Checkpoint;
import dev.graft.io.TensorInfo;
import dev.graft.io.TensorStore;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.LoraPass;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.SavableWeight;
import dev.graft.lora.TargetMatcher;
import dev.graft.tensor.Fingerprint;
import dev.graft.tensor.HostFloats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Hugging Face checkpoint, opened on an engine with all weights frozen. The starting point of everything:
 *
 * <pre>{@code
 * try (Engine engine = Engines.open("auto");
 *         PretrainedModel model = PretrainedModel.load(folder, engine, Precision.BF16)) {
 *     LoraModel adapted = model.attach(LoraConfig.builder().rank(16).build(), 0);
 *     …
 * }
 * }</pre>
 */
public final class PretrainedModel implements LanguageModel, AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(PretrainedModel.class);

    private final Path folder;
    private final Engine engine;
    private final Precision precision;
    private final @Nullable Checkpoint checkpoint;
    private final FrozenWeights weights;
    private final Decoder decoder;
    private final Workspace workspace;
    /** The frozen weights of adapters that took over a part of the base's. */
    private final List<FrozenWeights> residuals = new ArrayList<>();

    private @Nullable Long fingerprint;

    private PretrainedModel(
            Path folder,
            Engine engine,
            Precision precision,
            @Nullable Checkpoint checkpoint,
            FrozenWeights weights,
            DecoderConfig config) {
        this.folder = folder;
        this.engine = engine;
        this.precision = precision;
        this.checkpoint = checkpoint;
        this.weights = weights;
        this.decoder = new Decoder(config, weights);
        this.workspace = new Workspace(engine);
    }

    /**
     * Opens a model folder: {@code config.json} and {@code model.safetensors}, or shards with their index.
     *
     * @param precision where the engine does not compute in bf16 on this machine, float32 is taken and a warning logged
     * @throws InputException where files are missing, damaged, or describe a model that is not supported
     */
    public static PretrainedModel load(Path folder, Engine engine, Precision precision) {
        DecoderConfig config = ConfigReader.read(folder);
        Checkpoint checkpoint = Checkpoint.open(folder);
        try {
            FrozenWeights.check(checkpoint, config, folder.toString());
            Precision used = supported(engine, precision);
            FrozenWeights weights = new FrozenWeights(engine, checkpoint, config, used);
            return over(weights, () -> new PretrainedModel(folder, engine, used, checkpoint, weights, config));
        } catch (RuntimeException | Error e) {
            checkpoint.close();
            throw e;
        }
    }

    /** A model of {@code config}'s shape with random weights, for benchmarks; it has no files. */
    public static PretrainedModel random(DecoderConfig config, Engine engine, Precision precision, long seed) {
        Precision used = supported(engine, precision);
        FrozenWeights weights = FrozenWeights.random(engine, config, used, seed);
        return over(weights, () -> new PretrainedModel(Path.of("random"), engine, used, null, weights, config));
    }

    /** A model over {@code weights}, which are freed where there is none. */
    private static PretrainedModel over(FrozenWeights weights, Supplier<PretrainedModel> model) {
        try {
            return model.get();
        } catch (RuntimeException | Error e) {
            weights.close();
            throw e;
        }
    }

    /** {@code wanted}, or float32 with a warning where the engine cannot. */
    public static Precision supported(Engine engine, Precision wanted) {
        if (engine.supports(wanted)) {
            return wanted;
        }
        log.warn("engine {} has no fast {} on this machine; computing in float32 instead", engine.name(), wanted);
        return Precision.F32;
    }

    public Path folder() {
        return folder;
    }

    @Override
    public Engine engine() {
        return engine;
    }

    /** The precision in use. */
    @Override
    public Precision precision() {
        return precision;
    }

    public DecoderConfig config() {
        return decoder.config();
    }

    @Override
    public Decoder decoder() {
        return decoder;
    }

    /** None: this is the base model alone. */
    @Override
    public List<LoraAdapter> adapters() {
        return List.of();
    }

    @Override
    public LoraPass pass(DecoderBuffers buffers, int rows, boolean training, long seed, int microStep) {
        return LoraPass.none();
    }

    /** The mapped files. */
    public Checkpoint checkpoint() {
        if (checkpoint == null) {
            throw new IllegalStateException("this model has random weights and no files");
        }
        return checkpoint;
    }

    /** The fingerprint of the stored weights, which ties an adapter to its base. Reads the whole checkpoint, once. */
    public synchronized long fingerprint() {
        if (fingerprint == null) {
            fingerprint = fingerprint(checkpoint(), config());
        }
        return fingerprint;
    }

    /** As {@link #fingerprint()}, of files that no engine has opened. */
    public static long fingerprint(TensorStore checkpoint, DecoderConfig config) {
        return WeightShape.of(config).parallelStream()
                .mapToLong(shape -> Fingerprint.named(shape.name(), Fingerprint.of(checkpoint.data(shape.name()))))
                .sum();
    }

    /** The fingerprint of the weights in the engine's memory now; a run that froze them ends with the one it began with. */
    public long residentFingerprint() {
        return weights.residentFingerprint();
    }

    /**
     * Attaches a new adapter, ready to train: A random by {@code seed}, B zero, or both taken from the base's weights; DoRA's m the
     * lengths of W0's rows, modules to save as the base has them.
     *
     * @throws InputException where a target pattern or a module to save matches nothing, or the layers cannot start as the
     *     configuration says
     */
    public LoraModel attach(LoraConfig config, long seed) {
        LoraAdapter adapter = newAdapter(config, workspace, true);
        adapter.copyWeights(engine, this::storedWeight);
        FrozenWeights residual = null;
        if (config.init().changesBase()) {
            residual = ResidualWeights.of(engine, config(), weights, adapter, precision, seed);
            residuals.add(residual);
        } else {
            adapter.initialise(engine, seed);
        }
        LoraModel model = new LoraModel(this, adapter, residual);
        adapter.startMagnitudes(
                engine, name -> model.decoder().linear(name).weight().value());
        return model;
    }

    /**
     * Attaches a saved adapter.
     *
     * @param training whether it is to be trained further
     */
    public LoraModel attach(PeftAdapter saved, boolean training) {
        return attach(saved, saved.config(), training);
    }

    /** As {@link #attach(PeftAdapter, boolean)}, with another dropout than the saved one. */
    public LoraModel attach(PeftAdapter saved, LoraConfig config, boolean training) {
        List<SavableWeight> weights = decoder.savableWeights();
        saved.checkSaved(weights);
        LoraAdapter adapter = LoraAdapter.create(
                config, saved.matches(decoder.linearModules()), weights, workspace, precision, training);
        adapter.setWeights(engine, saved.weights());
        return new LoraModel(this, adapter, null);
    }

    /** An adapter of this model's shape, not yet initialised, from any allocator: also a planning one. */
    public LoraAdapter newAdapter(LoraConfig config, Allocator allocator, boolean training) {
        List<SavableWeight> weights = decoder.savableWeights();
        config.modulesToSave().requireFound(weights);
        return LoraAdapter.create(
                config, TargetMatcher.match(config, decoder.linearModules()), weights, allocator, precision, training);
    }

    /** A weight in float32, as the checkpoint has it; of a tied head the embedding. */
    private float[] storedWeight(String name) {
        String own = config().tiedEmbeddings() && name.equals(Decoder.HEAD_WEIGHT) ? Decoder.EMBEDDING_WEIGHT : name;
        if (checkpoint == null) {
            return engine.download(weights.weight(own).value());
        }
        TensorInfo info = checkpoint.info(own);
        return HostFloats.read(checkpoint.data(own), info.dtype(), 0, Math.toIntExact(info.elements()));
    }

    WeightSource weights() {
        return weights;
    }

    /** Inserts new bottleneck modules, ready to train: as if they were not there until something is learnt. */
    public BottleneckModel attach(BottleneckConfig config, long seed) {
        BottleneckAdapter adapter = newBottlenecks(config, true);
        adapter.initialise(engine, seed);
        return new BottleneckModel(this, adapter);
    }

    /**
     * Inserts saved bottleneck modules.
     *
     * @param training whether they are to be trained further
     * @throws InputException where they do not fit this model
     */
    public BottleneckModel attach(BottleneckFile saved, boolean training) {
        saved.requireFits(config().hiddenSize(), config().layers());
        BottleneckAdapter adapter = newBottlenecks(saved.config(), training);
        adapter.setWeights(engine, saved.weights());
        return new BottleneckModel(this, adapter);
    }

    private BottleneckAdapter newBottlenecks(BottleneckConfig config, boolean training) {
        return BottleneckAdapter.create(
                config, config().hiddenSize(), config().layers(), workspace, precision, training);
    }

    @Override
    public void close() {
        workspace.close();
        residuals.forEach(FrozenWeights::close);
        residuals.clear();
        weights.close();
        if (checkpoint != null) {
            checkpoint.close();
        }
    }
}
