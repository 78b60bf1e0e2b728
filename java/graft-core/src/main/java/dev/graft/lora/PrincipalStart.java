package dev.graft.lora;

import dev.graft.common.InputException;

/**
 * The A₀ and B₀ that take over a part of W0 [d, k], by PEFT's formulas:
 *
 * <pre>
 *   PiSSA   A₀ = √(Σ / s) Vᵀ,  B₀ = U √(Σ / s)    of the r leading singular parts of W0 = U Σ Vᵀ
 *   OLoRA   A₀ = R[:r],        B₀ = Q[:, :r]      of W0 = Q R
 * </pre>
 */
public final class PrincipalStart {
    private PrincipalStart() {}

    /**
     * A₀ and B₀ of one layer.
     *
     * @param weight W0 in float32, row by row; kept
     * @param seed of randomised PiSSA
     * @throws InputException where the rank is larger than the weight can have
     */
    public static LowRankFactors of(AdapterInit init, float[] weight, LoraModule module, long seed) {
        LinearModule layer = module.module();
        requireRank(init, layer, module.rank());
        HostMatrix w = new HostMatrix(layer.out(), layer.in(), weight);
        return switch (init) {
            case AdapterInit.Pissa pissa -> pissa(SingularParts.exact(w, module.rank()), module);
            case AdapterInit.RandomisedPissa pissa ->
                pissa(SingularParts.randomised(w, module.rank(), pissa.iterations(), seed, module.stream()), module);
            case AdapterInit.Olora olora -> olora(w, module.rank());
            case AdapterInit.Gaussian random -> throw notPrincipal(random);
            case AdapterInit.Kaiming random -> throw notPrincipal(random);
        };
    }

    private static IllegalArgumentException notPrincipal(AdapterInit init) {
        return new IllegalArgumentException(init + " takes nothing over from W0");
    }

    /** @throws InputException where the rank is larger than the layer's weight can have */
    public static void requireRank(AdapterInit init, LinearModule layer, int rank) {
        int most = Math.min(layer.out(), layer.in());
        if (rank > most) {
            throw new InputException("--rank " + rank + ": --init " + init + " takes as many directions from "
                    + layer.name() + ", whose weight [" + layer.out() + ", " + layer.in() + "] has " + most
                    + "; use a smaller --rank, or --rank-pattern for this layer");
        }
    }

    /** {@code weight - s B₀ A₀}, in float32. */
    public static void subtract(float[] weight, LowRankFactors start, LoraModule module) {
        int in = module.module().in();
        float[] row = new float[in];
        for (int i = 0; i < module.module().out(); i++) {
            System.arraycopy(weight, i * in, row, 0, in);
            LoraDelta.addRow(row, i, start.a(), start.b(), -module.scale());
            System.arraycopy(row, 0, weight, i * in, in);
        }
    }

    private static LowRankFactors pissa(SingularParts parts, LoraModule module) {
        int rank = module.rank();
        float[] a = new float[rank * module.module().in()];
        float[] b = new float[module.module().out() * rank];
        for (int i = 0; i < rank; i++) {
            double root = Math.sqrt(parts.values()[i] / module.scale());
            for (int col = 0; col < module.module().in(); col++) {
                a[i * module.module().in() + col] = (float) (root * parts.right()[col * rank + i]);
            }
            for (int row = 0; row < module.module().out(); row++) {
                b[row * rank + i] = (float) (parts.left()[row * rank + i] * root);
            }
        }
        return new LowRankFactors(rank, a, b);
    }

    /** The first r columns of Q follow from the first r of W0 alone, and the first r rows of R are {@code Qᵀ W0}. */
    private static LowRankFactors olora(HostMatrix w, int rank) {
        double[] columns = new double[w.rows() * rank];
        for (int row = 0; row < w.rows(); row++) {
            for (int i = 0; i < rank; i++) {
                columns[row * rank + i] = w.values()[row * w.cols() + i];
            }
        }
        double[] q = Householder.orthonormal(columns, w.rows(), rank);
        double[] turned = w.transposeTimes(q, rank); // Rᵀ [cols, rank]
        float[] a = new float[rank * w.cols()];
        float[] b = new float[w.rows() * rank];
        for (int i = 0; i < rank; i++) {
            for (int col = 0; col < w.cols(); col++) {
                a[i * w.cols() + col] = (float) turned[col * rank + i];
            }
        }
        for (int i = 0; i < b.length; i++) {
            b[i] = (float) q[i];
        }
        return new LowRankFactors(rank, a, b);
    }
}
