package dev.graft.cli.options;

import dev.graft.bottleneck.BottleneckFile;
import dev.graft.common.InputException;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LinearModule;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.ModulePattern;
import dev.graft.lora.ModulesToSave;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.SavableWeight;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.train.Method;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What is trained. A flag that is not given is null, so that it cannot contradict an adapter to start from. */
final class LoraOptions {
    @Option(names = "--rank", paramLabel = "R", description = "Rank of A and B (default: 16).")
    private @Nullable Integer rank;

    @Option(
            names = "--alpha",
            paramLabel = "X",
            description = "The low-rank part is scaled by alpha / rank (default: 32).")
    private @Nullable Double alpha;

    @Option(names = "--dropout", paramLabel = "P", description = "Dropout on the low-rank part's input (default: 0).")
    private @Nullable Double dropout;

    @Option(
            names = "--targets",
            paramLabel = "MODULES",
            description = "Layers to adapt: all-linear, a comma list of suffixes (q_proj,v_proj), "
                    + "or a regex over full module names (default: all-linear).")
    private @Nullable String targets;

    @Option(names = "--exclude", paramLabel = "MODULES", description = "Layers not to adapt: a comma list or a regex.")
    private @Nullable String exclude;

    @Option(
            names = "--rank-pattern",
            paramLabel = "KEY=R",
            split = ",",
            description = "Other ranks for modules whose name ends in KEY (a regex), such as v_proj=8,mlp.up_proj=4.")
    private @Nullable LinkedHashMap<String, Integer> rankPattern;

    @Option(names = "--alpha-pattern", paramLabel = "KEY=X", split = ",", description = "Other alphas, likewise.")
    private @Nullable LinkedHashMap<String, Double> alphaPattern;

    @Option(names = "--rslora", description = "Scale by alpha / sqrt(rank) instead (rsLoRA).")
    private boolean rsLora;

    @Option(names = "--dora", description = "Also train the length of every row of W0 + sBA (DoRA).")
    private boolean dora;

    @Option(
            names = "--init",
            paramLabel = "HOW",
            description =
                    "How A and B start: gaussian, A ~ N(0, 1/r^2), or kaiming, PEFT's U(+-1/sqrt(in)), with B = 0; "
                            + "or from the base's weights: pissa, pissa_niter_N (nearly, but soon; N such as 16), olora, "
                            + "saved as plain LoRA of twice the rank (default: gaussian).")
    private @Nullable String init;

    @Option(
            names = "--modules-to-save",
            paramLabel = "MODULES",
            description =
                    "Modules to train whole beside LoRA and to store with the adapter: a comma list of the ends of "
                            + "their names, such as lm_head,embed_tokens,model.norm.")
    private @Nullable String modulesToSave;

    @Option(
            names = "--ensure-weight-tying",
            description = "Where head and embedding are one weight, keep it one in --modules-to-save.")
    private boolean ensureWeightTying;

    @Option(
            names = "--init-adapter",
            paramLabel = "DIR",
            description = "Start from this adapter; its configuration is taken over.")
    private @Nullable Path initAdapter;

    /** The folder of the adapter to start from, of whatever method; null where a new one is made. */
    @Nullable
    Path initAdapter() {
        return initAdapter;
    }

    /** The adapter to start from, read; null where a new one is made. */
    @Nullable
    PeftAdapter start() {
        if (initAdapter == null) {
            return null;
        }
        if (BottleneckFile.isAt(initAdapter)) {
            throw new InputException(
                    "--init-adapter " + initAdapter + " holds bottleneck modules; give --method adapter");
        }
        return PeftAdapter.read(initAdapter);
    }

    /**
     * What these flags ask for.
     *
     * @param start the adapter to start from; null for a new one
     * @throws InputException where the flags contradict {@code start}, or one of them does not fit {@code model}
     */
    Method.Lora method(@Nullable PeftAdapter start, DecoderConfig model) {
        List<LinearModule> modules = Decoder.linearModules(model);
        List<SavableWeight> weights = Decoder.savableWeights(model);
        LoraConfig config = config(start, modules);
        if (start == null) {
            config.modulesToSave().requireFound(weights);
            return new Method.Lora(config, TargetMatcher.match(config, modules));
        }
        start.checkSaved(weights);
        return new Method.Lora(config, start.matches(modules));
    }

    private LoraConfig config(@Nullable PeftAdapter start, List<LinearModule> modules) {
        if (start != null) {
            requireAgreement(start, modules);
            return dropout == null ? start.config() : start.config().withDropout(dropout);
        }
        LoraConfig.Builder config =
                LoraConfig.builder().rsLora(rsLora).dora(dora).exclude(parse(exclude));
        if (rank != null) {
            config.rank(rank);
        }
        if (alpha != null) {
            config.alpha(alpha);
        }
        if (dropout != null) {
            config.dropout(dropout);
        }
        if (targets != null) {
            config.targets(targets);
        }
        if (init != null) {
            config.init(AdapterInit.parse(init));
        }
        if (modulesToSave != null) {
            config.modulesToSave(ModulesToSave.parse(modulesToSave, ensureWeightTying));
        } else if (ensureWeightTying) {
            throw new InputException("--ensure-weight-tying says how --modules-to-save treats lm_head and embed_tokens;"
                    + " name one of them there");
        }
        return config.rankPattern(Objects.requireNonNullElse(rankPattern, new LinkedHashMap<>()))
                .alphaPattern(Objects.requireNonNullElse(alphaPattern, new LinkedHashMap<>()))
                .build();
    }

    /** @throws InputException where a flag of these was given, which says nothing to {@code method} */
    void requireUnused(MethodName method) {
        Map<String, @Nullable Object> flags = new LinkedHashMap<>();
        flags.put("--rank", rank);
        flags.put("--alpha", alpha);
        flags.put("--dropout", dropout);
        flags.put("--targets", targets);
        flags.put("--exclude", exclude);
        flags.put("--rank-pattern", rankPattern);
        flags.put("--alpha-pattern", alphaPattern);
        flags.put("--rslora", rsLora ? true : null);
        flags.put("--dora", dora ? true : null);
        flags.put("--init", init);
        flags.put("--modules-to-save", modulesToSave);
        flags.put("--ensure-weight-tying", ensureWeightTying ? true : null);
        flags.put("--init-adapter", method == MethodName.ADAPTER ? null : initAdapter);
        flags.forEach((flag, value) -> {
            if (value != null) {
                throw new InputException(
                        flag + " belongs to LoRA, and --method is " + method.typed() + "; leave one of them out");
            }
        });
    }

    private static @Nullable ModulePattern parse(@Nullable String pattern) {
        return pattern == null ? null : ModulePattern.parse(pattern);
    }

    private void requireAgreement(PeftAdapter start, List<LinearModule> modules) {
        LoraConfig saved = start.config();
        requireEqual("--rank", rank, saved.rank());
        requireEqual("--alpha", alpha, saved.alpha());
        requireEqual("--rslora", rsLora ? true : null, saved.rsLora());
        requireEqual("--dora", dora ? true : null, saved.useDora());
        requireEqual("--rank-pattern", rankPattern, saved.rankPattern());
        requireEqual("--alpha-pattern", alphaPattern, saved.alphaPattern());
        requireEqual(
                "--modules-to-save",
                modulesToSave == null
                        ? null
                        : ModulesToSave.parse(modulesToSave, false).names(),
                saved.modulesToSave().names());
        requireEqual(
                "--ensure-weight-tying",
                ensureWeightTying ? true : null,
                saved.modulesToSave().keepTies());
        if (init != null) {
            throw new InputException("--init " + init + ": A and B come from --init-adapter; leave one of the two out");
        }
        if (targets != null || exclude != null) {
            // patterns may be spelt differently: what counts is which layers they mean
            LoraConfig typed = LoraConfig.builder()
                    .targets(targets == null ? saved.targets() : ModulePattern.parse(targets))
                    .exclude(exclude == null ? saved.exclude() : parse(exclude))
                    .modulesToSave(saved.modulesToSave())
                    .build();
            if (!names(TargetMatcher.match(typed, modules)).equals(names(start.matches(modules)))) {
                throw new InputException("--targets and --exclude mean other layers than those of --init-adapter "
                        + initAdapter + "; leave them out");
            }
        }
    }

    private static List<String> names(List<TargetMatcher.Match> matches) {
        return matches.stream().map(match -> match.module().name()).toList();
    }

    private void requireEqual(String flag, @Nullable Object typed, Object saved) {
        if (typed != null && !typed.equals(saved)) {
            throw new InputException(flag + " " + typed + ": the adapter in --init-adapter " + initAdapter + " has "
                    + (saved instanceof Map<?, ?> map && map.isEmpty() ? "none" : saved) + "; leave " + flag + " out");
        }
    }
}
