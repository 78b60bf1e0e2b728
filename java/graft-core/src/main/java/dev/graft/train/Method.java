package dev.graft.train;

import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.DecoderConfig;
import dev.graft.model.WeightShape;
import java.util.List;

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

    /** Every weight: full fine-tuning. */
    record Full() implements Method {
        @Override
        public long trainableCount(DecoderConfig model) {
            return WeightShape.of(model).stream().mapToLong(WeightShape::size).sum();
        }
    }
}
