package dev.graft.train;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.engine.Engines;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.SavableWeight;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.model.WeightShape;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A way to fine-tune a model: what is trained beside its frozen weights, or in their place. */
public sealed interface Method {
    /** How many numbers are trained. */
    long trainableCount(DecoderConfig model);

    /** Ranks of the adapters that read the same input, summed, where they are the most: see {@link Engines#open(String, int)}. */
    default int sharedRanks() {
        return 0;
    }

    /**
     * A low-rank adapter over frozen weights.
     *
     * @param config the adapter
     * @param matches the layers that it adapts
     */
    record Lora(LoraConfig config, List<TargetMatcher.Match> matches) implements Method {
        /** Σ r (d + k), with DoRA Σ r (d + k) + d, and the numbers of modules that are trained whole. */
        @Override
        public long trainableCount(DecoderConfig model) {
            long lowRank = matches.stream().mapToLong(this::trainableCount).sum();
            return lowRank
                    + savedWeights(model).stream()
                            .mapToLong(SavableWeight::size)
                            .sum();
        }

        /** Of one adapted layer. */
        public long trainableCount(TargetMatcher.Match match) {
            long out = match.module().out();
            return match.rank() * (out + match.module().in()) + (config.useDora() ? out : 0);
        }

        /** The weights that are trained whole, each once. */
        public List<SavableWeight> savedWeights(DecoderConfig model) {
            return config.modulesToSave().select(Decoder.savableWeights(model)).stream()
                    .filter(weight -> weight.tiedTo() == null)
                    .toList();
        }

        @Override
        public int sharedRanks() {
            return matches.stream()
                    .collect(Collectors.groupingBy(
                            match -> Decoder.inputOf(match.module()), Collectors.summingInt(TargetMatcher.Match::rank)))
                    .values()
                    .stream()
                    .max(Comparator.naturalOrder())
                    .orElse(0);
        }

        public int maxRank() {
            return matches.stream().mapToInt(TargetMatcher.Match::rank).max().orElse(0);
        }
    }

    /** Several adapters alike over the same frozen weights at once, each on batches of its own: {@link JointTrainer}. */
    record JointLora(Lora each, int adapters) implements Method {
        @Override
        public long trainableCount(DecoderConfig model) {
            return adapters * each.trainableCount(model);
        }

        @Override
        public int sharedRanks() {
            return adapters * each.sharedRanks();
        }
    }

    /**
     * Bottleneck modules between the frozen weights.
     *
     * @param start the saved modules to start from; null for new ones
     */
    record Adapter(BottleneckConfig config, @Nullable BottleneckFile start) implements Method {
        /** New modules. */
        public Adapter(BottleneckConfig config) {
            this(config, null);
        }

        @Override
        public long trainableCount(DecoderConfig model) {
            return config.parameterCount(model.hiddenSize(), model.layers());
        }
    }

    /** Every weight: full fine-tuning. */
    record Full() implements Method {
        @Override
        public long trainableCount(DecoderConfig model) {
            return WeightShape.of(model).stream().mapToLong(WeightShape::size).sum();
        }
    }
}
