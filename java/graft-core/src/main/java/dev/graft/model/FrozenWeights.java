package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.Precision;
import dev.graft.io.TensorInfo;
import dev.graft.io.TensorStore;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Fingerprint;
import dev.graft.tensor.HostFloats;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * A checkpoint's weights, frozen: read-only views of the mapped file, or of copies in the compute dtype where the engine cannot
 * use the file in place. Nothing here can write them.
 */
public final class FrozenWeights implements WeightSource, AutoCloseable {
    /** The plan item of weights that need no memory of their own. */
    public static final String MAPPED = "mapped file, used in place";

    /** The plan item of weights that the engine {@link Engine#protects}. */
    public static final String PROTECTED = "in memory, protected";

    private static final float RANDOM_BOUND = 0.05f;
    /** Numbers drawn at most for one tensor; larger ones repeat them. */
    private static final int RANDOM_BLOCK = 1 << 22;

    private final Engine engine;
    private final Map<String, Weight> weights = new LinkedHashMap<>();
    /** Host memory of computed weights that the engine uses in place. */
    private final List<Arena> arenas = new ArrayList<>();

    /** None yet; {@link #compute} adds some. */
    FrozenWeights(Engine engine) {
        this.engine = engine;
    }

    /**
     * Adds a weight that comes from no file.
     *
     * @param fill writes its rows × cols elements, in the compute dtype
     */
    void compute(String name, int rows, int cols, DType compute, Consumer<MemorySegment> fill) {
        Arena arena = Arena.ofShared();
        arenas.add(arena);
        MemorySegment stored = arena.allocate((long) rows * cols * compute.byteSize(), 64);
        fill.accept(stored);
        weights.put(name, new Weight(name, engine.freeze(stored, compute, rows, cols, compute), null));
        if (engine.freezeBytes(compute, rows, cols, compute) > 0) {
            arena.close(); // the engine has a copy
            arenas.removeLast();
        }
    }

    /** What {@link #compute} allocates for a weight, on the host or in the engine's memory. */
    static long computedBytes(Engine engine, int rows, int cols, DType compute) {
        long copied = engine.freezeBytes(compute, rows, cols, compute);
        return copied > 0 ? copied : (long) rows * cols * compute.byteSize();
    }

    /** The plan item of weights of so many rows in the engine's memory: {@link #PROTECTED}, or {@code otherwise}. */
    static String item(Engine engine, int rows, String otherwise) {
        return engine.protects(rows) ? PROTECTED : otherwise;
    }

    /** Random weights of a decoder's shape, U(±{@value #RANDOM_BOUND}), for benchmarks. */
    public static FrozenWeights random(Engine engine, DecoderConfig config, Precision precision, long seed) {
        FrozenWeights frozen = new FrozenWeights(engine);
        DType compute = precision.compute();
        try {
            for (WeightShape shape : WeightShape.of(config)) {
                int stream = frozen.weights.size();
                frozen.compute(
                        shape.name(),
                        shape.rows(),
                        shape.cols(),
                        compute,
                        stored -> fillRandomly(stored, shape, compute, seed, stream));
            }
            engine.protectFrozen();
        } catch (RuntimeException e) {
            frozen.close();
            throw e;
        }
        return frozen;
    }

    /** What {@link #random} allocates, on the host or in the engine's memory. */
    public static MemoryPlan randomPlan(Engine engine, DecoderConfig config, Precision precision) {
        DType compute = precision.compute();
        MemoryPlan.Builder plan = new MemoryPlan.Builder();
        for (WeightShape shape : WeightShape.of(config)) {
            plan.add(
                    MemoryKind.FROZEN_WEIGHTS,
                    item(engine, shape.rows(), "random weights"),
                    computedBytes(engine, shape.rows(), shape.cols(), compute));
        }
        return plan.build();
    }

    private static void fillRandomly(MemorySegment stored, WeightShape shape, DType dtype, long seed, int stream) {
        int block = (int) Math.min(RANDOM_BLOCK, shape.size());
        float[] values = RandomFill.uniform(seed, RandomPurpose.INITIALISE_WEIGHTS, stream, block, RANDOM_BOUND);
        HostFloats.write(values, stored, dtype, 0);
        long blockBytes = (long) block * dtype.byteSize();
        for (long at = blockBytes; at < stored.byteSize(); at += blockBytes) {
            MemorySegment.copy(stored, 0, stored, at, Math.min(blockBytes, stored.byteSize() - at));
        }
    }

    /** Freezes every weight of the decoder; {@link #check} should have passed. */
    public FrozenWeights(Engine engine, TensorStore store, DecoderConfig config, Precision precision) {
        this(engine);
        try {
            for (WeightShape shape : WeightShape.of(config)) {
                TensorInfo info = store.info(shape.name());
                TensorView view = engine.freeze(
                        store.data(shape.name()), info.dtype(), shape.rows(), shape.cols(), precision.compute());
                weights.put(shape.name(), new Weight(shape.name(), view, null));
            }
            engine.protectFrozen();
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** @throws InputException where the checkpoint does not hold exactly the weights that the configuration needs */
    public static void check(TensorStore store, DecoderConfig config, String where) {
        List<WeightShape> shapes = WeightShape.of(config);
        Set<String> names = store.names();
        List<String> missing = shapes.stream()
                .map(WeightShape::name)
                .filter(name -> !names.contains(name))
                .toList();
        if (!missing.isEmpty()) {
            throw new InputException(
                    where + ": " + some(missing) + " missing from the checkpoint, though config.json calls for "
                            + (missing.size() == 1 ? "it" : "them")
                            + "; the files do not belong together or a shard was not copied");
        }
        Set<String> known = shapes.stream().map(WeightShape::name).collect(Collectors.toSet());
        List<String> unexpected = names.stream()
                .filter(name -> !known.contains(name) && !isHarmless(name, config))
                .toList();
        if (!unexpected.isEmpty()) {
            throw new InputException(where + ": the checkpoint holds " + some(unexpected)
                    + ", which this architecture has no place for; config.json does not describe these weights");
        }
        for (WeightShape shape : shapes) {
            TensorInfo info = store.info(shape.name());
            if (!info.shape().equals(shape.storedShape())) {
                throw new InputException(where + ": " + shape.name() + " has shape " + info.shape()
                        + ", config.json calls for " + shape.storedShape());
            }
            if (!info.dtype().isFloat()) {
                throw new InputException(where + ": " + shape.name() + " is " + info.dtype()
                        + "; Graft reads F32, F16 and BF16 (quantised checkpoints are not supported)");
            }
        }
    }

    /**
     * As {@link #plan(Engine, TensorStore, DecoderConfig, Precision)}, with the new frozen weights of an adapter that starts by
     * taking over a part of the checkpoint's.
     *
     * @param matches the layers that {@code lora} adapts
     * @throws InputException where these layers cannot start so
     */
    public static MemoryPlan plan(
            Engine engine,
            TensorStore store,
            DecoderConfig config,
            Precision precision,
            LoraConfig lora,
            List<TargetMatcher.Match> matches) {
        return plan(engine, store, config, precision)
                .plus(ResidualWeights.plan(engine, config, precision, lora, matches));
    }

    /** What freezing allocates, and what it uses in place. */
    public static MemoryPlan plan(Engine engine, TensorStore store, DecoderConfig config, Precision precision) {
        MemoryPlan.Builder plan = new MemoryPlan.Builder();
        for (WeightShape shape : WeightShape.of(config)) {
            TensorInfo info = store.info(shape.name());
            long bytes = engine.freezeBytes(info.dtype(), shape.rows(), shape.cols(), precision.compute());
            if (bytes == 0) {
                plan.add(MemoryKind.FROZEN_WEIGHTS, MAPPED, info.byteSize());
            } else {
                plan.add(MemoryKind.FROZEN_WEIGHTS, item(engine, shape.rows(), "in memory"), bytes);
            }
        }
        return plan.build();
    }

    /** Tied heads are stored by some exporters, old Llama files carry their rotary frequencies; neither is read. */
    private static boolean isHarmless(String name, DecoderConfig config) {
        return name.endsWith("rotary_emb.inv_freq") || (config.tiedEmbeddings() && name.equals("lm_head.weight"));
    }

    private static String some(List<String> names) {
        int shown = Math.min(3, names.size());
        String list = String.join(", ", names.subList(0, shown));
        return names.size() > shown ? list + " and " + (names.size() - shown) + " more" : list;
    }

    boolean has(String name) {
        return weights.containsKey(name);
    }

    @Override
    public Weight weight(String name) {
        Weight weight = weights.get(name);
        if (weight == null) {
            throw new IllegalArgumentException("no weight " + name);
        }
        return weight;
    }

    /** The fingerprint of the weights as they lie in the engine's memory now. */
    public long residentFingerprint() {
        return weights.entrySet().stream()
                .mapToLong(entry -> Fingerprint.named(
                        entry.getKey(), engine.fingerprint(entry.getValue().value())))
                .sum();
    }

    @Override
    public void close() {
        weights.values().forEach(weight -> weight.value().memory().close());
        weights.clear();
        arenas.forEach(Arena::close);
        arenas.clear();
    }
}
