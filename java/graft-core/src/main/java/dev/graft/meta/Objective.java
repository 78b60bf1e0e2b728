package dev.graft.meta;

/** A differentiable loss L(θ) of a flat float32 vector θ. Evaluating it twice at one θ gives the same numbers. */
public interface Objective {
    /** L(θ). */
    double loss(float[] theta);

    /**
     * L(θ) and its gradient.
     *
     * @param gradient of θ's length; overwritten with ∇L(θ)
     */
    double lossAndGradient(float[] theta, float[] gradient);
}
