package dev.graft.lora;

import dev.graft.common.InputException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * What a LoRA adapter is: the same record serves Java callers, the command line and {@code adapter_config.json}.
 *
 * <p>Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021); names and rules are PEFT's.
 *
 * @param rank r, at least 1
 * @param alpha α; the low-rank part is scaled by α / r
 * @param dropout probability of dropping an element of the low-rank part's input, in [0, 1)
 * @param targets which linear layers are adapted
 * @param exclude which of them are not; null for none
 * @param rankPattern ranks for modules whose name matches {@code (.*\.)?(key)$}
 * @param alphaPattern alphas likewise
 * @param rsLora scale by α / √r instead (Kalajdzievski, 2023)
 * @param init how A and B start
 * @param useDora scale the rows of W0 + s B A to trained lengths (DoRA; Liu et al., 2024)
 * @param modulesToSave what is trained whole beside
 */
public record LoraConfig(
        int rank,
        double alpha,
        double dropout,
        ModulePattern targets,
        @Nullable ModulePattern exclude,
        Map<String, Integer> rankPattern,
        Map<String, Double> alphaPattern,
        boolean rsLora,
        AdapterInit init,
        boolean useDora,
        ModulesToSave modulesToSave) {

    public LoraConfig {
        checkRank(rank, "--rank");
        checkAlpha(alpha, "--alpha");
        if (!(dropout >= 0 && dropout < 1)) {
            throw new InputException("--dropout " + dropout + ": use a number from 0 up to, not including, 1");
        }
        rankPattern.forEach((key, value) -> {
            checkKey(key, "rank_pattern");
            checkRank(value, "rank_pattern " + key + ":");
        });
        alphaPattern.forEach((key, value) -> {
            checkKey(key, "alpha_pattern");
            checkAlpha(value, "alpha_pattern " + key + ":");
        });
        boolean hasPatterns = !rankPattern.isEmpty() || !alphaPattern.isEmpty();
        if (init.changesBase() && rsLora && hasPatterns) {
            throw new InputException("--init " + init + " with --rslora and --rank-pattern or --alpha-pattern: such an "
                    + "adapter cannot be saved as plain LoRA; leave one of the three out");
        }
        // the first key that matches wins, so the order is kept
        rankPattern = Collections.unmodifiableMap(new LinkedHashMap<>(rankPattern));
        alphaPattern = Collections.unmodifiableMap(new LinkedHashMap<>(alphaPattern));
    }

    private static void checkKey(String key, String what) {
        try {
            Pattern.compile(key);
        } catch (PatternSyntaxException e) {
            throw new InputException(what + " '" + key + "' is no regular expression (" + e.getDescription()
                    + "); give a module's name or the last parts of one, such as q_proj");
        }
    }

    private static void checkRank(int rank, String what) {
        if (rank < 1) {
            throw new InputException(what + " " + rank + ": the rank must be at least 1; 8 or 16 is a good start");
        }
    }

    private static void checkAlpha(double alpha, String what) {
        if (!(alpha > 0) || Double.isInfinite(alpha)) {
            throw new InputException(what + " " + alpha + ": alpha must be a positive number; twice the rank is usual");
        }
    }

    /** s = α / r, or α / √r with rsLoRA. */
    public float scale(int moduleRank, double moduleAlpha) {
        return (float) (rsLora ? moduleAlpha / Math.sqrt(moduleRank) : moduleAlpha / moduleRank);
    }

    /** The same adapter with another rank and alpha. */
    public LoraConfig withRank(int newRank, double newAlpha) {
        return new LoraConfig(
                newRank,
                newAlpha,
                dropout,
                targets,
                exclude,
                rankPattern,
                alphaPattern,
                rsLora,
                init,
                useDora,
                modulesToSave);
    }

    /** The same adapter with another dropout. */
    public LoraConfig withDropout(double newDropout) {
        return new LoraConfig(
                rank,
                alpha,
                newDropout,
                targets,
                exclude,
                rankPattern,
                alphaPattern,
                rsLora,
                init,
                useDora,
                modulesToSave);
    }

    /**
     * Plain LoRA of twice the rank with the same scales, as which an adapter that took over a part of W0 is saved. The numbers are
     * those of PEFT's conversion ({@code save_pretrained} with {@code path_initial_model_for_weight_conversion}).
     */
    LoraConfig asPlain() {
        Map<String, Integer> ranks = new LinkedHashMap<>();
        rankPattern.forEach((key, value) -> ranks.put(key, Math.multiplyExact(2, value)));
        Map<String, Double> alphas = new LinkedHashMap<>();
        alphaPattern.forEach((key, value) -> alphas.put(key, 2 * value));
        return new LoraConfig(
                Math.multiplyExact(2, rank),
                alpha * (rsLora ? Math.sqrt(2) : 2),
                dropout,
                targets,
                exclude,
                ranks,
                alphas,
                rsLora,
                AdapterInit.KAIMING,
                useDora,
                modulesToSave);
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Starts from Graft's defaults: rank 16, alpha 32, no dropout, all linear layers, Gaussian A. */
    public static final class Builder {
        private int rank = 16;
        private double alpha = 32;
        private double dropout;
        private ModulePattern targets = new ModulePattern.AllLinear();
        private @Nullable ModulePattern exclude;
        private final Map<String, Integer> rankPattern = new LinkedHashMap<>();
        private final Map<String, Double> alphaPattern = new LinkedHashMap<>();
        private boolean rsLora;
        private AdapterInit init = AdapterInit.GAUSSIAN;
        private boolean dora;
        private ModulesToSave modulesToSave = ModulesToSave.NONE;

        private Builder() {}

        public Builder rank(int value) {
            rank = value;
            return this;
        }

        public Builder alpha(double value) {
            alpha = value;
            return this;
        }

        public Builder dropout(double value) {
            dropout = value;
            return this;
        }

        /** {@code all-linear}, a comma list of suffixes, or a regular expression over full module names. */
        public Builder targets(String pattern) {
            targets = ModulePattern.parse(pattern);
            return this;
        }

        public Builder targets(ModulePattern pattern) {
            targets = pattern;
            return this;
        }

        public Builder exclude(@Nullable ModulePattern pattern) {
            exclude = pattern;
            return this;
        }

        public Builder rankPattern(Map<String, Integer> pattern) {
            rankPattern.putAll(pattern);
            return this;
        }

        public Builder alphaPattern(Map<String, Double> pattern) {
            alphaPattern.putAll(pattern);
            return this;
        }

        public Builder rsLora(boolean value) {
            rsLora = value;
            return this;
        }

        public Builder init(AdapterInit value) {
            init = value;
            return this;
        }

        public Builder dora(boolean value) {
            dora = value;
            return this;
        }

        /** Modules that are trained whole, by the ends of their names, such as {@code lm_head}; see {@link ModulesToSave}. */
        public Builder modulesToSave(String... names) {
            return modulesToSave(new ModulesToSave(List.of(names), false));
        }

        public Builder modulesToSave(ModulesToSave value) {
            modulesToSave = value;
            return this;
        }

        public LoraConfig build() {
            return new LoraConfig(
                    rank,
                    alpha,
                    dropout,
                    targets,
                    exclude,
                    rankPattern,
                    alphaPattern,
                    rsLora,
                    init,
                    dora,
                    modulesToSave);
        }
    }
}
