package dev.graft.meta;

import java.util.Arrays;

/**
 * Adam on a flat vector with PyTorch's defaults: {@code m ← β₁ m + (1 - β₁) g}, {@code v ← β₂ v + (1 - β₂) g²},
 * {@code θ ← θ - lr / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)}.
 */
final class Adam {
    /** Vectors that it holds: the two moments. */
    static final int VECTORS = 2;

    private static final double BETA1 = 0.9;
    private static final double BETA2 = 0.999;
    private static final double EPSILON = 1e-8;

    private final float[] moment1;
    private final float[] moment2;
    private int steps;

    Adam(int size) {
        this.moment1 = new float[size];
        this.moment2 = new float[size];
    }

    /** Forgets all earlier steps. */
    void reset() {
        Arrays.fill(moment1, 0);
        Arrays.fill(moment2, 0);
        steps = 0;
    }

    /** One step along {@code scale · gradient}. */
    void step(float[] theta, float[] gradient, double scale, double learningRate) {
        steps++;
        double rate = learningRate / (1 - Math.pow(BETA1, steps));
        double correction = Math.sqrt(1 - Math.pow(BETA2, steps));
        for (int i = 0; i < theta.length; i++) {
            double g = scale * gradient[i];
            double m = BETA1 * moment1[i] + (1 - BETA1) * g;
            double v = BETA2 * moment2[i] + (1 - BETA2) * g * g;
            moment1[i] = (float) m;
            moment2[i] = (float) v;
            theta[i] = (float) (theta[i] - rate * m / (Math.sqrt(v) / correction + EPSILON));
        }
    }
}
