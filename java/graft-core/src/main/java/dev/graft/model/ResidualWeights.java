package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.Precision;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LinearModule;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.LoraModule;
import dev.graft.lora.LowRankFactors;
import dev.graft.lora.PrincipalStart;
import dev.graft.lora.TargetMatcher;
import dev.graft.tensor.HostFloats;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is left of the adapted layers' weights where A and B start by taking over a part of them: {@code W0 - s B₀ A₀}, new frozen
 * weights beside the base's own, which stay as they are. Computed in float32 from W0 as the engine has it and frozen in the
 * compute dtype, as PEFT does. A function of W0, the configuration and the seed alone, to the last bit.
 */
final class ResidualWeights {
    private static final Logger log = LoggerFactory.getLogger(ResidualWeights.class);

    private static final String SUFFIX = ".weight";
    /** Full decompositions of weights up to this size run beside each other; larger ones take their memory one by one. */
    private static final int LARGE = 1536;
    /** A full decomposition takes about this many nanoseconds by the cube of its weight's smaller side, on one core. */
    private static final double NANOS = 3;

    private static final double SLOW_SECONDS = 30;

    private final Engine engine;
    private final FrozenWeights base;
    private final Precision precision;
    private final AdapterInit init;
    private final long seed;
    private final FrozenWeights residual;
    /** A₀ and B₀ by module. */
    private final Map<String, LowRankFactors> start = new HashMap<>();

    private ResidualWeights(Engine engine, FrozenWeights base, Precision precision, AdapterInit init, long seed) {
        this.engine = engine;
        this.base = base;
        this.precision = precision;
        this.init = init;
        this.seed = seed;
        this.residual = new FrozenWeights(engine);
    }

    /**
     * The memory that {@link #of} takes; none where the start leaves the base as it is.
     *
     * @throws InputException where these layers cannot start so
     */
    static MemoryPlan plan(
            Engine engine,
            DecoderConfig config,
            Precision precision,
            LoraConfig lora,
            List<TargetMatcher.Match> matches) {
        if (!lora.init().changesBase()) {
            return MemoryPlan.NONE;
        }
        requirePossible(lora.init(), config, matches);
        MemoryPlan.Builder plan = new MemoryPlan.Builder();
        for (TargetMatcher.Match match : matches) {
            LinearModule layer = match.module();
            plan.add(
                    MemoryKind.FROZEN_WEIGHTS,
                    FrozenWeights.item(engine, layer.out(), "without what A and B took over"),
                    FrozenWeights.computedBytes(engine, layer.out(), layer.in(), precision.compute()));
        }
        return plan.build();
    }

    private static void requirePossible(AdapterInit init, DecoderConfig config, List<TargetMatcher.Match> matches) {
        for (TargetMatcher.Match match : matches) {
            PrincipalStart.requireRank(init, match.module(), match.rank());
            if (match.module().isHead() && config.tiedEmbeddings()) {
                throw new InputException("--init " + init + " changes the frozen weight of lm_head, which is the "
                        + "embedding's, too; leave lm_head out of --targets");
            }
        }
    }

    /**
     * Lets A and B of {@code adapter} take over their part of the base.
     *
     * @return the weights without it, by the names that they have in the base
     */
    static FrozenWeights of(
            Engine engine,
            DecoderConfig config,
            FrozenWeights base,
            LoraAdapter adapter,
            Precision precision,
            long seed) {
        AdapterInit init = adapter.config().init();
        List<LoraModule> modules = adapter.modules();
        requirePossible(
                init,
                config,
                modules.stream()
                        .map(module -> new TargetMatcher.Match(module.module(), module.rank(), 0))
                        .toList());
        announce(init, modules);
        ResidualWeights weights = new ResidualWeights(engine, base, precision, init, seed);
        try {
            int atOnce = atOnce(init, modules);
            for (int from = 0; from < modules.size(); from += atOnce) {
                weights.takeOver(modules.subList(from, Math.min(modules.size(), from + atOnce)));
            }
            engine.protectFrozen();
            adapter.takeOver(engine, weights.start);
            return weights.residual;
        } catch (RuntimeException e) {
            weights.residual.close();
            throw e;
        }
    }

    /** Computes beside each other, but an engine is used by one thread. */
    private void takeOver(List<LoraModule> modules) {
        List<float[]> weights = modules.stream()
                .map(module ->
                        engine.download(base.weight(module.name() + SUFFIX).value()))
                .toList();
        List<LowRankFactors> factors = IntStream.range(0, modules.size())
                .parallel()
                .mapToObj(i -> takeOver(weights.get(i), modules.get(i)))
                .toList();
        for (int i = 0; i < modules.size(); i++) {
            start.put(modules.get(i).name(), factors.get(i));
            freeze(modules.get(i).module(), weights.get(i));
        }
    }

    /** {@code weight} becomes what is left of it. */
    private LowRankFactors takeOver(float[] weight, LoraModule module) {
        LowRankFactors taken = PrincipalStart.of(init, weight, module, seed);
        PrincipalStart.subtract(weight, taken, module);
        return taken;
    }

    private void freeze(LinearModule layer, float[] weight) {
        residual.compute(
                layer.name() + SUFFIX,
                layer.out(),
                layer.in(),
                precision.compute(),
                stored -> HostFloats.write(weight, stored, precision.compute(), 0));
    }

    private static int atOnce(AdapterInit init, List<LoraModule> modules) {
        boolean large = modules.stream().anyMatch(module -> smallerSide(module) > LARGE);
        return init instanceof AdapterInit.Pissa && !large
                ? Runtime.getRuntime().availableProcessors()
                : 1;
    }

    private static int smallerSide(LoraModule module) {
        return Math.min(module.module().out(), module.module().in());
    }

    private static void announce(AdapterInit init, List<LoraModule> modules) {
        log.debug("{} takes A and B from the weights of {} layers", init, modules.size());
        if (init instanceof AdapterInit.Pissa) {
            double work = modules.stream()
                    .mapToDouble(module -> Math.pow(smallerSide(module), 3))
                    .sum();
            double seconds = work * NANOS / 1e9 / atOnce(init, modules);
            if (seconds > SLOW_SECONDS) {
                log.warn(
                        "full decompositions of {} layers take about {} minutes; --init pissa_niter_16 comes close much sooner",
                        modules.size(),
                        Math.ceil(seconds / 6) / 10);
            }
        }
    }
}
