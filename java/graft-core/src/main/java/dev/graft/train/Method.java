package dev.graft.train;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.DecoderConfig;
import dev.graft.model.WeightShape;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A way to fine-tune a model: what is trained beside its frozen weights, or in their place. */
public sealed interface Method {
    /** How many numbers are trained. */
    long trainableCount(DecoderConfig model);

    /**
     * A low-rank adapter over frozen weights.
     *
     * @param config the adapter
     * @param matches the layers that it adapts
     */
    record Lora(LoraConfig config, List<TargetMatcher.Match> matches) implements Method {
        /** Σ r (d + k). */
        @Override
        public long trainableCount(DecoderConfig model) {
            return matches.stream()
                    .mapToLong(match -> (long) match.rank()
                            * (match.module().in() + match.module().out()))
                    .sum();
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
