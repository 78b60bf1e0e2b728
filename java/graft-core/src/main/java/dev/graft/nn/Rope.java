package dev.graft.nn;

/**
 * Rotary position embedding: the tables of cosines and sines that {@link dev.graft.engine.Engine#rope} turns heads by.
 *
 * <p>Angles are computed in float32 from float32 frequencies, as transformers does, so that long positions agree with it.
 *
 * @param theta the base of the frequencies, {@code rope_theta}
 * @param headDim D; even
 */
public record Rope(double theta, int headDim, RopeScaling scaling) {
    public Rope {
        if (!(theta > 0) || headDim < 2 || headDim % 2 != 0) {
            throw new IllegalArgumentException(
                    "RoPE needs an even head_dim and rope_theta > 0: " + headDim + ", " + theta);
        }
    }

    /** Whether the table depends on the length of the longest sequence in a batch. */
    public boolean dependsOnLength() {
        return scaling instanceof RopeScaling.Dynamic;
    }

    /**
     * The table for positions 0 to {@code positions - 1}: each row D/2 cosines, then D/2 sines.
     *
     * @param sequenceLength the longest sequence of the batch; matters only where {@link #dependsOnLength}
     */
    public float[] table(int positions, int sequenceLength) {
        float[] frequencies = frequencies(sequenceLength);
        double factor = scaling instanceof RopeScaling.Yarn yarn ? yarn.attentionFactor() : 1;
        int half = headDim / 2;
        float[] table = new float[positions * headDim];
        for (int position = 0; position < positions; position++) {
            int row = position * headDim;
            for (int i = 0; i < half; i++) {
                float angle = position * frequencies[i];
                table[row + i] = (float) (Math.cos(angle) * factor);
                table[row + half + i] = (float) (Math.sin(angle) * factor);
            }
        }
        return table;
    }

    private float[] frequencies(int sequenceLength) {
        return switch (scaling) {
            case RopeScaling.None none -> plain(theta);
            case RopeScaling.Linear linear -> divide(plain(theta), linear.factor());
            case RopeScaling.Dynamic dynamic -> plain(stretchedBase(dynamic, sequenceLength));
            case RopeScaling.Llama3 llama3 -> llama3(llama3);
            case RopeScaling.Yarn yarn -> yarn(yarn);
        };
    }

    private float[] plain(double base) {
        float[] frequencies = new float[headDim / 2];
        for (int i = 0; i < frequencies.length; i++) {
            float exponent = 2f * i / headDim;
            frequencies[i] = 1f / (float) Math.pow(base, exponent);
        }
        return frequencies;
    }

    private static float[] divide(float[] frequencies, double factor) {
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = (float) (frequencies[i] / factor);
        }
        return frequencies;
    }

    private double stretchedBase(RopeScaling.Dynamic dynamic, int sequenceLength) {
        double length = Math.max(sequenceLength, dynamic.maxPositions());
        double stretch = dynamic.factor() * length / dynamic.maxPositions() - (dynamic.factor() - 1);
        return theta * Math.pow(stretch, headDim / (headDim - 2.0));
    }

    private float[] llama3(RopeScaling.Llama3 s) {
        float[] frequencies = plain(theta);
        double longest = s.originalMaxPositions() / s.lowFrequencyFactor();
        double shortest = s.originalMaxPositions() / s.highFrequencyFactor();
        for (int i = 0; i < frequencies.length; i++) {
            double wavelength = 2 * Math.PI / frequencies[i];
            if (wavelength > longest) {
                frequencies[i] = (float) (frequencies[i] / s.factor());
            } else if (wavelength >= shortest) {
                double smooth = (s.originalMaxPositions() / wavelength - s.lowFrequencyFactor())
                        / (s.highFrequencyFactor() - s.lowFrequencyFactor());
                frequencies[i] = (float) ((1 - smooth) * frequencies[i] / s.factor() + smooth * frequencies[i]);
            }
        }
        return frequencies;
    }

    private float[] yarn(RopeScaling.Yarn s) {
        double low = correctionPair(s.betaFast(), s.originalMaxPositions());
        double high = correctionPair(s.betaSlow(), s.originalMaxPositions());
        if (s.truncate()) {
            low = Math.floor(low);
            high = Math.ceil(high);
        }
        low = Math.max(low, 0);
        high = Math.min(high, headDim - 1);
        if (low == high) {
            high += 0.001;
        }
        float[] frequencies = plain(theta);
        for (int i = 0; i < frequencies.length; i++) {
            double ramp = Math.clamp((i - low) / (high - low), 0.0, 1.0);
            frequencies[i] = (float) (frequencies[i] / s.factor() * ramp + frequencies[i] * (1 - ramp));
        }
        return frequencies;
    }

    /** The pair that turns {@code rotations} times within the original context. */
    private double correctionPair(double rotations, int originalMaxPositions) {
        return headDim * Math.log(originalMaxPositions / (rotations * 2 * Math.PI)) / (2 * Math.log(theta));
    }
}
