package dev.graft.lora;

import dev.graft.common.InputException;
import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A low-rank adapter: its configuration, the A and B of every adapted layer, DoRA's m, and the weights of modules that it trains
 * whole, all views into one flat buffer.
 */
public final class LoraAdapter {
    /** What follows a module's name in that of its m. */
    static final String MAGNITUDE = ".lora_magnitude_vector";

    private final LoraConfig config;
    private final Map<String, LoraModule> modules;
    private final Map<String, SavedWeight> savedWeights;
    private final FlatParameters parameters;
    private final RowNorms norms;
    /** What A and B took over from W0, by module; empty where they took nothing. */
    private Map<String, LowRankFactors> taken = Map.of();

    private LoraAdapter(
            LoraConfig config,
            Map<String, LoraModule> modules,
            Map<String, SavedWeight> savedWeights,
            FlatParameters parameters,
            RowNorms norms) {
        this.config = config;
        this.modules = modules;
        this.savedWeights = savedWeights;
        this.parameters = parameters;
        this.norms = norms;
    }

    /** As below, without modules that are trained whole. */
    public static LoraAdapter create(
            LoraConfig config,
            List<TargetMatcher.Match> matches,
            Allocator allocator,
            Precision precision,
            boolean training) {
        return create(config, matches, List.of(), allocator, precision, training);
    }

    /**
     * An adapter all of whose numbers are still zero: {@link #initialise}, {@link #copyWeights} and {@link #startMagnitudes}, or
     * {@link #setWeights}, give them their start.
     *
     * @param weights of the base model; the adapter has copies of those that its configuration saves
     * @param training whether gradient buffers are needed
     * @throws InputException where a module is both adapted and saved
     */
    public static LoraAdapter create(
            LoraConfig config,
            List<TargetMatcher.Match> matches,
            List<SavableWeight> weights,
            Allocator allocator,
            Precision precision,
            boolean training) {
        FlatParameters.Layout layout = new FlatParameters.Layout();
        // all A, then all B, so that LoRA+ updates each in one piece
        List<FlatParameters.Slot> downs = matches.stream()
                .map(match -> layout.add(
                        match.module().name() + ".lora_A.weight",
                        match.rank(),
                        match.module().in()))
                .toList();
        Map<String, LoraModule> modules = new LinkedHashMap<>();
        for (TargetMatcher.Match match : matches) {
            LinearModule module = match.module();
            modules.put(
                    module.name(),
                    new LoraModule(
                            module,
                            match.rank(),
                            config.scale(match.rank(), match.alpha()),
                            downs.get(modules.size()),
                            layout.addFast(module.name() + ".lora_B.weight", module.out(), match.rank()),
                            null,
                            modules.size()));
        }
        if (config.useDora()) {
            modules.replaceAll((name, module) -> module.withMagnitude(
                    layout.addFast(name + MAGNITUDE, 1, module.module().out())));
        }
        Map<String, SavedWeight> saved = new LinkedHashMap<>();
        for (SavableWeight weight : config.modulesToSave().select(weights)) {
            SavedWeight original = weight.tiedTo() == null ? null : saved.get(weight.tiedTo());
            saved.put(
                    weight.name(), new SavedWeight(weight, original == null ? place(layout, weight) : original.slot()));
        }
        requireApart(modules, saved);
        RowNorms norms = new RowNorms(config.useDora() ? modules.values() : List.of(), allocator);
        return new LoraAdapter(
                config, modules, saved, new FlatParameters(layout, allocator, precision, training), norms);
    }

    /** LoRA+ gives vectors the learning rate of B, as PEFT does. */
    private static FlatParameters.Slot place(FlatParameters.Layout layout, SavableWeight weight) {
        return weight.isVector()
                ? layout.addFast(weight.name(), weight.rows(), weight.cols())
                : layout.add(weight.name(), weight.rows(), weight.cols());
    }

    private static void requireApart(Map<String, LoraModule> modules, Map<String, SavedWeight> saved) {
        for (String module : modules.keySet()) {
            if (saved.containsKey(module + ".weight")) {
                throw new InputException(module + " is adapted and trained whole at once; leave it out of the target "
                        + "modules (--exclude) or of the modules to save");
            }
        }
    }

    public LoraConfig config() {
        return config;
    }

    /** The adapted layers, in the model's order. */
    public List<LoraModule> modules() {
        return new ArrayList<>(modules.values());
    }

    /** How this adapter adapts the layer called {@code name}; null where it does not. */
    public @Nullable LoraModule module(String name) {
        return modules.get(name);
    }

    /** The weights that are trained whole, in the model's order. */
    public List<SavedWeight> savedWeights() {
        return new ArrayList<>(savedWeights.values());
    }

    /** The weight called {@code name} where it is trained whole; null where the base's is in use. */
    public @Nullable SavedWeight savedWeight(String name) {
        return savedWeights.get(name);
    }

    /** All A and B, DoRA's m and saved weights, flat. */
    public FlatParameters parameters() {
        return parameters;
    }

    /** How many numbers are trained: Σ r (d + k), with DoRA Σ r (d + k) + d, and those of saved weights. */
    public long parameterCount() {
        return parameters.count();
    }

    /** The largest rank of any module. */
    public int maxRank() {
        return modules.values().stream().mapToInt(LoraModule::rank).max().orElse(0);
    }

    /**
     * A random by the configuration's {@link AdapterInit}, which must leave W0 as it is; B zero. DoRA's m then wants
     * {@link #startMagnitudes}.
     */
    public void initialise(Engine engine, long seed) {
        for (LoraModule module : modules.values()) {
            engine.upload(initialA(module, seed), parameters.value(module.a()));
            engine.zero(parameters.value(module.b()));
        }
        parameters.refresh(engine);
    }

    private float[] initialA(LoraModule module, long seed) {
        int count = module.a().size();
        int stream = module.stream();
        return switch (config.init()) {
            case AdapterInit.Gaussian gaussian ->
                RandomFill.normal(seed, RandomPurpose.INITIALISE_A, stream, count, 1f / module.rank());
            case AdapterInit.Kaiming kaiming ->
                RandomFill.uniform(seed, RandomPurpose.INITIALISE_A, stream, count, (float)
                        (1 / Math.sqrt(module.module().in())));
            case AdapterInit.Pissa pissa -> throw takesFromBase();
            case AdapterInit.RandomisedPissa pissa -> throw takesFromBase();
            case AdapterInit.Olora olora -> throw takesFromBase();
        };
    }

    /** Sets the saved weights to the base's; {@code values} knows them by name. */
    public void copyWeights(Engine engine, Function<String, float[]> values) {
        for (SavedWeight saved : savedWeights.values()) {
            if (saved.weight().tiedTo() == null) {
                engine.upload(values.apply(saved.name()), parameters.value(saved.slot()));
            }
        }
        parameters.refresh(engine);
    }

    /**
     * With DoRA, m becomes what the rows' lengths are now, {@code ‖W0 + s B A‖}, so that the layers start as W0 + s B A is.
     *
     * @param weights W0 of a module by its name, in the compute dtype
     */
    public void startMagnitudes(Engine engine, Function<String, TensorView> weights) {
        if (!config.useDora()) {
            return;
        }
        for (LoraModule module : modules.values()) {
            if (module.magnitude() != null) {
                TensorView lengths = rowNorms(engine, module, weights.apply(module.name()));
                engine.convert(lengths, parameters.value(module.magnitude()));
            }
        }
        parameters.refresh(engine);
    }

    /** {@code ‖W0 + s B A‖} of a DoRA module's rows, F32 [1, d]. */
    TensorView rowNorms(Engine engine, LoraModule module, TensorView weight) {
        return norms.of(engine, parameters, module, weight);
    }

    private IllegalStateException takesFromBase() {
        return new IllegalStateException("an adapter that starts by " + config.init() + " needs the weights it adapts");
    }

    /**
     * A and B as they are after taking over a part of W0.
     *
     * @param start A₀ and B₀ by module name; the frozen weights must be without {@code s B₀ A₀} from now on
     */
    public void takeOver(Engine engine, Map<String, LowRankFactors> start) {
        for (LoraModule module : modules.values()) {
            engine.upload(start.get(module.name()).a(), parameters.value(module.a()));
            engine.upload(start.get(module.name()).b(), parameters.value(module.b()));
        }
        parameters.refresh(engine);
        taken = Map.copyOf(start);
    }

    /**
     * What this adapter adds to a layer's W0 as the checkpoint has it, up to the factor s: A and B, or, where they took over a part
     * of W0, the factors of {@code B A - B₀ A₀}, which have twice the rank.
     */
    public LowRankFactors saved(Engine engine, LoraModule module) {
        LowRankFactors now = new LowRankFactors(
                module.rank(),
                engine.download(parameters.value(module.a())),
                engine.download(parameters.value(module.b())));
        LowRankFactors start = taken.get(module.name());
        return start == null ? now : now.minus(start);
    }

    /** The start by which A and B took over a part of W0; null where they took nothing. */
    public @Nullable String convertedFrom() {
        return taken.isEmpty() ? null : config.init().toString();
    }

    /** The configuration that {@link #saved} factors have: this adapter's, or the one of plain LoRA that does the same. */
    public LoraConfig savedConfig() {
        return taken.isEmpty() ? config : config.asPlain();
    }

    /** Sets everything; {@code weights} has the values of each slot by its name. */
    public void setWeights(Engine engine, Map<String, float[]> weights) {
        parameters.set(engine, weights);
    }
}
