package dev.graft.meta;

import dev.graft.common.InputException;

/**
 * The meta-gradient of one task at θ, after {@link MetaAlgorithm}.
 *
 * <p>With second-order terms, v starts as ∇L_query(θ_K) and goes back through the inner steps: {@code v ← (∂θ_{k+1}/∂θ_k)ᵀ v =
 * v - α H(θ_k) v} for k = K - 1 … 0, H being the Hessian of the support loss. Of a step whose gradient g was clipped to norm c, the
 * Jacobian is {@code I - α (c / ‖g‖) (I - ĝ ĝᵀ) H}: of v only what is orthogonal to ĝ meets H.
 *
 * <p>All vectors are allocated here; {@link #addTo} allocates none.
 */
public final class MetaGradient {
    private final MetaAlgorithm algorithm;
    private final InnerLoop loop;
    private final Learner learner;
    private final float[] v;
    private final float[][] path;
    private final Learner.Step[] steps;
    private final HessianProduct hessian;
    private final float[] projected;

    /**
     * For vectors of {@code size} numbers.
     *
     * @throws InputException where second-order terms are asked for that the inner rule does not have
     */
    public MetaGradient(MetaAlgorithm algorithm, InnerLoop loop, int size) {
        boolean secondOrder = algorithm == MetaAlgorithm.MAML;
        if (secondOrder && loop.rule() != InnerRule.SGD) {
            throw new InputException("--algorithm maml differentiates through inner steps of plain SGD; "
                    + "use --inner sgd, or --algorithm fomaml or reptile");
        }
        this.algorithm = algorithm;
        this.loop = loop;
        this.learner = new Learner(loop, size);
        this.v = new float[size];
        this.steps = new Learner.Step[loop.steps()];
        this.path = new float[secondOrder ? loop.steps() : 0][size];
        this.hessian = new HessianProduct(secondOrder ? size : 0);
        this.projected = new float[secondOrder ? size : 0];
    }

    /** Vectors that it holds: the learner's, v, and for second-order terms the path, the projected v and the products'. */
    static long vectors(MetaAlgorithm algorithm, InnerLoop loop) {
        long secondOrder = algorithm == MetaAlgorithm.MAML ? loop.steps() + 1L + HessianProduct.VECTORS : 0;
        return Learner.vectors(loop.rule()) + 1 + secondOrder;
    }

    /**
     * What a task met.
     *
     * @param supportLoss before the first inner step
     * @param queryLoss after the last
     * @param innerSeconds that the inner steps took
     */
    public record TaskLosses(double supportLoss, double queryLoss, double innerSeconds) {}

    /** Adds the task's meta-gradient at {@code theta} to {@code sum}. */
    public TaskLosses addTo(float[] sum, float[] theta, Objective support, Objective query) {
        learner.start(theta);
        long start = System.nanoTime();
        for (int k = 0; k < steps.length; k++) {
            if (algorithm == MetaAlgorithm.MAML) {
                Vectors.copy(learner.values(), path[k]);
            }
            steps[k] = learner.step(support);
        }
        double innerSeconds = (System.nanoTime() - start) / 1e9;
        double queryLoss;
        if (algorithm == MetaAlgorithm.REPTILE) {
            queryLoss = query.loss(learner.values());
            Vectors.add(theta, -1, learner.values(), v);
        } else {
            queryLoss = query.lossAndGradient(learner.values(), v);
        }
        if (algorithm == MetaAlgorithm.MAML) {
            backThroughSteps(support);
        }
        Vectors.add(sum, 1, v, sum);
        return new TaskLosses(steps[0].loss(), queryLoss, innerSeconds);
    }

    private void backThroughSteps(Objective support) {
        for (int k = steps.length - 1; k >= 0; k--) {
            float[] next = k + 1 < steps.length ? path[k + 1] : learner.values();
            Vectors.copy(v, projected);
            if (steps[k].clipFactor() < 1) {
                removeDirection(path[k], next);
            }
            hessian.addTo(v, -loop.learningRate() * steps[k].clipFactor(), support, path[k], projected);
        }
    }

    /** Makes {@link #projected} orthogonal to the step, which points along -ĝ and, clipped, is α c long. */
    private void removeDirection(float[] from, float[] to) {
        double product = 0;
        double square = 0;
        for (int i = 0; i < from.length; i++) {
            double step = (double) to[i] - from[i];
            product += step * projected[i];
            square += step * step;
        }
        if (square == 0) {
            return;
        }
        double share = product / square;
        for (int i = 0; i < from.length; i++) {
            projected[i] = (float) (projected[i] - share * ((double) to[i] - from[i]));
        }
    }
}
