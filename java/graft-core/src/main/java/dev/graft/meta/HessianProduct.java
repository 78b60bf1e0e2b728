package dev.graft.meta;

/**
 * Hessian-vector products by central differences of gradients: with v̂ = v / ‖v‖,
 * {@code H(θ) v ≈ ‖v‖ (∇L(θ + ε v̂) - ∇L(θ - ε v̂)) / 2ε}. Two gradients a product, whatever the size of θ.
 *
 * <p>ε is a distance in θ's space. Rounding puts an error of about u ‖g‖ / ε into the quotient, u ≈ 2⁻²² being what float32 passes
 * through a model leave of a gradient's digits; cutting the series off costs ε² ‖∂³L‖ / 6. Where g changes by its own size over a
 * distance s, ‖∂³L‖ is about ‖g‖ / s², and the sum is least at ε = (3 u s²)^⅓. For adapters s is 0.05 to 0.2: measured on the
 * embedded base, products with ε and ε / 2 differ by 2 to 5 · 10⁻⁴ for ε from 2⁻¹¹ to 2⁻⁸, by more on either side, and from 2⁻⁵ on
 * they are wrong. In bf16, with u = 2⁻⁸, no ε serves.
 */
final class HessianProduct {
    static final double EPSILON = 0x1p-9;
    /** Vectors that it holds: a shifted θ and two gradients. */
    static final int VECTORS = 3;

    private final float[] shifted;
    private final float[] forward;
    private final float[] backward;

    HessianProduct(int size) {
        this.shifted = new float[size];
        this.forward = new float[size];
        this.backward = new float[size];
    }

    /** {@code result += factor · H(θ) v}; {@code result} may be v. */
    void addTo(float[] result, double factor, Objective objective, float[] theta, float[] v) {
        double norm = Vectors.norm(v);
        if (norm == 0 || factor == 0) {
            return;
        }
        Vectors.add(theta, EPSILON / norm, v, shifted);
        objective.lossAndGradient(shifted, forward);
        Vectors.add(theta, -EPSILON / norm, v, shifted);
        objective.lossAndGradient(shifted, backward);
        double scale = factor * norm / (2 * EPSILON);
        for (int i = 0; i < result.length; i++) {
            result[i] = (float) (result[i] + scale * ((double) forward[i] - backward[i]));
        }
    }
}
