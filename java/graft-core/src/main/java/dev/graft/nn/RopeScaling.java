package dev.graft.nn;

/**
 * How rotary frequencies are stretched for contexts longer than the pre-training ones; the {@code rope_type}s of Hugging Face
 * transformers ({@code modeling_rope_utils.py}), whose formulas these are. θᵢ = base^(-2i/D) is the plain frequency of pair i.
 */
public sealed interface RopeScaling {
    /** Plain RoPE (Su et al., 2021). */
    record None() implements RopeScaling {}

    /** {@code linear}: θᵢ / factor. */
    record Linear(double factor) implements RopeScaling {}

    /**
     * {@code dynamic}: NTK-aware. A sequence of L > maxPositions tokens uses
     * base · (factor · L / maxPositions - (factor - 1))^(D / (D - 2)).
     */
    record Dynamic(double factor, int maxPositions) implements RopeScaling {}

    /**
     * {@code llama3}: wavelengths beyond original/lowFrequencyFactor are divided by factor, those below
     * original/highFrequencyFactor stay, those between are interpolated.
     */
    record Llama3(double factor, double lowFrequencyFactor, double highFrequencyFactor, int originalMaxPositions)
            implements RopeScaling {}

    /**
     * {@code yarn} (Peng et al., 2023): a ramp between θᵢ / factor and θᵢ over the pairs that turn between betaSlow and betaFast
     * times in the original context; cosines and sines are multiplied by attentionFactor.
     *
     * @param truncate whether the ramp's ends are rounded to whole pairs
     */
    record Yarn(
            double factor,
            double betaFast,
            double betaSlow,
            double attentionFactor,
            int originalMaxPositions,
            boolean truncate)
            implements RopeScaling {
        /** The attention factor that the paper suggests: 0.1 · mscale · ln(factor) + 1. */
        public static double suggestedAttentionFactor(double factor, double mscale) {
            return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
        }
    }
}
