package dev.graft.meta;

import org.jspecify.annotations.Nullable;

/** Weights that adapt to one task after another: θ' starts as a copy of θ, then takes inner steps. */
final class Learner {
    private final InnerLoop loop;
    private final float[] values;
    private final float[] gradient;
    private final @Nullable Adam adam;

    Learner(InnerLoop loop, int size) {
        this.loop = loop;
        this.values = new float[size];
        this.gradient = new float[size];
        this.adam = loop.rule() == InnerRule.ADAM ? new Adam(size) : null;
    }

    /** Vectors that a learner by {@code rule} holds: θ', its gradient, Adam's moments. */
    static int vectors(InnerRule rule) {
        return 2 + (rule == InnerRule.ADAM ? Adam.VECTORS : 0);
    }

    /** θ' = θ; nothing remains of the task before. */
    void start(float[] theta) {
        Vectors.copy(theta, values);
        if (adam != null) {
            adam.reset();
        }
    }

    /** θ', which the next step changes. */
    float[] values() {
        return values;
    }

    /** One step on the support rows; returns their loss before it. */
    Step step(Objective support) {
        double loss = support.lossAndGradient(values, gradient);
        double norm = loop.clipNorm() > 0 ? Vectors.norm(gradient) : 0;
        double scale = Vectors.clipFactor(norm, loop.clipNorm());
        if (adam == null) {
            Vectors.add(values, -loop.learningRate() * scale, gradient, values);
        } else {
            adam.step(values, gradient, scale, loop.learningRate());
        }
        return new Step(loss, norm, scale);
    }

    /**
     * What a step met.
     *
     * @param loss of the support rows before it
     * @param gradientNorm before clipping; 0 where nothing is clipped
     * @param clipFactor by which the gradient was scaled
     */
    record Step(double loss, double gradientNorm, double clipFactor) {}
}
