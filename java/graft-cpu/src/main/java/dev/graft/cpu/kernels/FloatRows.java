package dev.graft.cpu.kernels;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Arithmetic on rows in float arrays that {@link Scratch#floats} gave. Loops run over whole vectors, beyond a row's end into the
 * array's padding; what is there is computed too and means nothing, except to {@link #dot}.
 */
final class FloatRows {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    private FloatRows() {}

    /** Zeros in the padding behind {@code n} elements, as {@link #dot} needs them. */
    static void clearPadding(float[] row, int n) {
        Arrays.fill(row, n, Lanes.roundUp(n), 0);
    }

    /** {@code Σ a[at + i] · b[i]}, in two interleaved sums; the padding behind n counts. */
    static float dot(float[] a, int at, float[] b, int n) {
        FloatVector even = FloatVector.zero(F);
        FloatVector odd = FloatVector.zero(F);
        int i = 0;
        for (; i <= n - 2 * Lanes.COUNT; i += 2 * Lanes.COUNT) {
            int j = i + Lanes.COUNT;
            even = FloatVector.fromArray(F, a, at + i).fma(FloatVector.fromArray(F, b, i), even);
            odd = FloatVector.fromArray(F, a, at + j).fma(FloatVector.fromArray(F, b, j), odd);
        }
        for (; i < n; i += Lanes.COUNT) {
            even = FloatVector.fromArray(F, a, at + i).fma(FloatVector.fromArray(F, b, i), even);
        }
        return Lanes.sum(even.add(odd));
    }

    /** {@code sum += term}. */
    static void add(float[] sum, float[] term, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, sum, i)
                    .add(FloatVector.fromArray(F, term, i))
                    .intoArray(sum, i);
        }
    }

    /** {@code sum[at + i] += factor · values[i]}. */
    static void addScaled(float[] sum, int at, float factor, float[] values, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, values, i)
                    .fma(FloatVector.broadcast(F, factor), FloatVector.fromArray(F, sum, at + i))
                    .intoArray(sum, at + i);
        }
    }

    /** {@code row ·= factor}. */
    static void multiply(float[] row, float factor, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(F, row, i).mul(factor).intoArray(row, i);
        }
    }
}
