package dev.graft.lora;

import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.nn.FlatParameters;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A low-rank adapter: its configuration and the A and B of every adapted layer, all views into one flat buffer. */
public final class LoraAdapter {
    private final LoraConfig config;
    private final Map<String, LoraModule> modules;
    private final FlatParameters parameters;
    /** What A and B took over from W0, by module; empty where they took nothing. */
    private Map<String, LowRankFactors> taken = Map.of();

    private LoraAdapter(LoraConfig config, Map<String, LoraModule> modules, FlatParameters parameters) {
        this.config = config;
        this.modules = modules;
        this.parameters = parameters;
    }

    /**
     * An adapter whose A and B are still zero; {@link #initialise} or {@link #setWeights} gives them their start.
     *
     * @param training whether gradient buffers are needed
     */
    public static LoraAdapter create(
            LoraConfig config,
            List<TargetMatcher.Match> matches,
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
                            modules.size()));
        }
        return new LoraAdapter(config, modules, new FlatParameters(layout, allocator, precision, training));
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

    /** All A and B, flat. */
    public FlatParameters parameters() {
        return parameters;
    }

    /** Σ r (d + k): how many numbers are trained. */
    public long parameterCount() {
        return parameters.count();
    }

    /** The largest rank of any module. */
    public int maxRank() {
        return modules.values().stream().mapToInt(LoraModule::rank).max().orElse(0);
    }

    /** A random by the configuration's {@link AdapterInit}, which must leave W0 as it is; B zero. */
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

    /** Sets all A and B; {@code weights} has the values of each slot by its name. */
    public void setWeights(Engine engine, Map<String, float[]> weights) {
        for (FlatParameters.Slot slot : parameters.slots()) {
            float[] values = weights.get(slot.name());
            if (values == null || values.length != slot.size()) {
                throw new IllegalArgumentException("no values, or not " + slot.size() + ", for " + slot.name());
            }
            engine.upload(values, parameters.value(slot));
        }
        parameters.refresh(engine);
    }
}
