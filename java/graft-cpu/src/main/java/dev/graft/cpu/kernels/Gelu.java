package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The exact GELU; all tensors [M, F].
 *
 * <pre>
 *   forward    y = x Φ(x),  Φ(x) = ½ (1 + erf(x / √2))
 *   backward   dx = dy (Φ(x) + x φ(x)),  φ(x) = e^(-x²/2) / √(2π)
 * </pre>
 *
 * Φ is computed so that its lower tail keeps its relative precision, which {@code 1 + erf} would lose by cancellation.
 */
public final class Gelu {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;
    private static final float ROOT_HALF = 0.70710678118654752f;
    private static final float ROOT_2 = 1.41421356237309505f;
    private static final float DENSITY_AT_0 = 0.39894228040143268f; // 1 / √(2π)

    // coefficients of Cephes' erff and erfcf (S. L. Moshier), the highest power first
    /** erf(a) = a P(a²) for |a| < 1. */
    private static final float[] CENTRE = {
        7.853861353153693E-5f,
        -8.010193625184903E-4f,
        5.188327685732524E-3f,
        -2.685381193529856E-2f,
        1.128358514861418E-1f,
        -3.761262582423300E-1f,
        1.128379165726710E+0f
    };

    /** erfc(a) = e^(-a²) / a · P(1/a²) for 1 ≤ a < 2. */
    private static final float[] SHOULDER = {
        2.326819970068386E-2f,
        -1.387039388740657E-1f,
        3.687424674597105E-1f,
        -5.824733027278666E-1f,
        6.210004621745983E-1f,
        -4.944515323274145E-1f,
        3.404879937665872E-1f,
        -2.741127028184656E-1f,
        5.638259427386472E-1f
    };

    /** As SHOULDER, for 2 ≤ a. */
    private static final float[] TAIL = {
        -1.047766399936249E+1f,
        1.297719955372516E+1f,
        -7.495518717768503E+0f,
        2.921019019210786E+0f,
        -1.015265279202700E+0f,
        4.218463358204948E-1f,
        -2.820767439740514E-1f,
        5.641895067754075E-1f
    };

    private Gelu() {}

    public static void forward(Workbench bench, TensorView x, Tensor y) {
        bench.forChunks(y.rows(), y.cols(), (row, from, n, worker) -> {
            float[] values = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            Rows.load(x, row, from, n, values, 0);
            for (int i = 0; i < n; i += Lanes.COUNT) {
                FloatVector xi = FloatVector.fromArray(F, values, i);
                xi.mul(distribution(xi, bell(xi))).intoArray(values, i);
            }
            Rows.store(values, 0, y, row, from, n);
        });
    }

    /** dx may be x. */
    public static void backward(Workbench bench, TensorView dy, TensorView x, Tensor dx) {
        bench.forChunks(dx.rows(), dx.cols(), (row, from, n, worker) -> {
            float[] values = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] gradient = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            Rows.load(x, row, from, n, values, 0);
            Rows.load(dy, row, from, n, gradient, 0);
            for (int i = 0; i < n; i += Lanes.COUNT) {
                FloatVector xi = FloatVector.fromArray(F, values, i);
                FloatVector bell = bell(xi);
                FloatVector slope = xi.mul(bell.mul(DENSITY_AT_0)).add(distribution(xi, bell));
                FloatVector.fromArray(F, gradient, i).mul(slope).intoArray(values, i);
            }
            Rows.store(values, 0, dx, row, from, n);
        });
    }

    /** e^(-x²/2). */
    private static FloatVector bell(FloatVector x) {
        return Lanes.exp(x.mul(x).mul(-0.5f));
    }

    /** Φ(x), where {@code bell} is e^(-x²/2). */
    private static FloatVector distribution(FloatVector x, FloatVector bell) {
        FloatVector a = x.mul(ROOT_HALF);
        FloatVector centre =
                a.mul(polynomial(CENTRE, a.mul(a))).fma(FloatVector.broadcast(F, 0.5f), FloatVector.broadcast(F, 0.5f));
        FloatVector size = x.abs();
        FloatVector inverse = FloatVector.broadcast(F, ROOT_2).div(size);
        FloatVector squared = inverse.mul(inverse);
        FloatVector p = polynomial(TAIL, squared)
                .blend(polynomial(SHOULDER, squared), size.compare(VectorOperators.LT, 2 * ROOT_2));
        FloatVector lower = bell.mul(0.5f).mul(inverse).mul(p);
        FloatVector outer = lower.blend(lower.neg().add(1f), x.compare(VectorOperators.GT, 0f));
        return outer.blend(centre, size.compare(VectorOperators.LT, ROOT_2));
    }

    private static FloatVector polynomial(float[] coefficients, FloatVector x) {
        FloatVector sum = FloatVector.broadcast(F, coefficients[0]);
        for (int i = 1; i < coefficients.length; i++) {
            sum = sum.fma(x, FloatVector.broadcast(F, coefficients[i]));
        }
        return sum;
    }
}
