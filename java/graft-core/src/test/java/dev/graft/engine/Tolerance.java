package dev.graft.engine;

import dev.graft.tensor.DType;
import java.util.Arrays;

/**
 * How far an engine's result may lie from the float64 reference that starts from the same rounded inputs.
 *
 * <p>Rounding a result costs at most u of itself, u = 2⁻²⁴ in float32 and 2⁻⁸ in bfloat16. A float32 sum of n terms adds
 * roundings of its partial sums, which grow like √n, not like n, whatever the order. What the contract lets an engine round
 * on the way (LoRA's hidden values, attention probabilities) is added where it occurs.
 */
final class Tolerance {
    private static final double FLOAT32 = 0x1p-24;

    private Tolerance() {}

    /** u: the largest relative error of rounding to {@code dtype}. */
    static double unit(DType dtype) {
        return dtype == DType.BF16 ? 0x1p-8 : FLOAT32;
    }

    /** The relative error of a float32 sum of {@code terms} terms: (8 + 2 √terms) 2⁻²⁴. */
    static double sum(int terms) {
        return (8 + 2 * Math.sqrt(terms)) * FLOAT32;
    }

    /** {@code u |expected| + extra}, element by element. */
    static Matrix bound(DType dtype, Matrix expected, Matrix extra) {
        return expected.combine(extra, (e, x) -> unit(dtype) * Math.abs(e) + x + Float.MIN_NORMAL);
    }

    /** {@code u |expected| + relative · scale}; the scale is the largest expected magnitude. */
    static Matrix bound(DType dtype, Matrix expected, double relative) {
        double scale = largest(expected);
        return bound(dtype, expected, expected.map(e -> relative * scale));
    }

    /** The largest magnitude; 0 of none. */
    static double largest(Matrix matrix) {
        return Arrays.stream(matrix.values()).map(Math::abs).max().orElse(0);
    }
}
