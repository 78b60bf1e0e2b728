package dev.graft.cpu.kernels;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** Vector species, and the functions of a vector that the Vector API lacks or leaves to the platform. */
final class Lanes {
    static final VectorSpecies<Float> FLOAT = FloatVector.SPECIES_PREFERRED;
    static final VectorSpecies<Integer> INT = IntVector.SPECIES_PREFERRED;

    /** As many shorts as {@link #FLOAT} has floats. */
    static final VectorSpecies<Short> SHORT =
            VectorSpecies.of(short.class, VectorShape.forBitSize(FLOAT.vectorBitSize() / 2));

    static final int COUNT = FLOAT.length();

    private static final VectorShuffle<Float> DOWN_8 = down(8);
    private static final VectorShuffle<Float> DOWN_4 = down(4);
    private static final VectorShuffle<Float> DOWN_2 = down(2);
    private static final VectorShuffle<Float> DOWN_1 = down(1);

    // e^r on |r| ≤ ln 2 / 2: 1 + r + r² (E5 + r (E4 + ...)), coefficients of Cephes' expf (S. L. Moshier)
    private static final float E0 = 1.9875691500E-4f;
    private static final float E1 = 1.3981999507E-3f;
    private static final float E2 = 8.3334519073E-3f;
    private static final float E3 = 4.1665795894E-2f;
    private static final float E4 = 1.6666665459E-1f;
    private static final float E5 = 5.0000001201E-1f;
    private static final float LOG2_E = 1.44269504088896341f;
    private static final float LN2_HIGH = 0.693359375f;
    private static final float LN2_LOW = -2.12194440e-4f;

    // adding one of these rounds to an integer n, and then there stands in the low bits:
    private static final float EXP_ROUNDER = 0x1.8p23f + 254; // n + 254, the biased exponents of two factors of 2ⁿ
    private static final float SIGMOID_ROUNDER = 0x1.8p23f + 126; // n + 126, the biased exponent of 2ⁿ⁻¹

    private static final float EXP_LEAST = -105f; // e^x rounds to 0 below
    private static final float EXP_MOST = 90f; // e^x rounds to infinity above
    private static final int SIGMOID_LEAST = Float.floatToRawIntBits(-86f); // 1 + e^x rounds to 1 from far above on
    private static final int SIGMOID_MOST = Float.floatToRawIntBits(89f); // e^x rounds to infinity there

    private Lanes() {}

    private static VectorShuffle<Float> down(int lanes) {
        return VectorShuffle.iota(FLOAT, lanes, 1, true);
    }

    /** {@code n} rounded up to whole vectors. */
    static int roundUp(int n) {
        return (n + COUNT - 1) & -COUNT;
    }

    /**
     * The sum of all lanes, halves added to halves. {@code reduceLanes(ADD)} leaves the order open and may give other bits once
     * the code is compiled.
     */
    static float sum(FloatVector v) {
        if (COUNT > 8) {
            v = v.add(v.rearrange(DOWN_8));
        }
        if (COUNT > 4) {
            v = v.add(v.rearrange(DOWN_4));
        }
        if (COUNT > 2) {
            v = v.add(v.rearrange(DOWN_2));
        }
        return v.add(v.rearrange(DOWN_1)).lane(0);
    }

    /** {@code b} where it is larger than {@code a}, else {@code a}; a NaN in b is passed over, which is three times faster. */
    static FloatVector larger(FloatVector a, FloatVector b) {
        return a.blend(b, b.compare(VectorOperators.GT, a));
    }

    /** eˣ, within 1 ulp where it is a normal number; the same bits on every machine. NaN gives NaN. */
    static FloatVector exp(FloatVector x) {
        FloatVector clamped = x.blend(EXP_MOST, x.compare(VectorOperators.GT, EXP_MOST));
        clamped = clamped.blend(EXP_LEAST, clamped.compare(VectorOperators.LT, EXP_LEAST));
        FloatVector shifted =
                clamped.fma(FloatVector.broadcast(FLOAT, LOG2_E), FloatVector.broadcast(FLOAT, EXP_ROUNDER));
        FloatVector n = shifted.sub(EXP_ROUNDER);
        FloatVector r = n.fma(FloatVector.broadcast(FLOAT, -LN2_HIGH), clamped);
        r = n.fma(FloatVector.broadcast(FLOAT, -LN2_LOW), r);
        FloatVector p = FloatVector.broadcast(FLOAT, E0);
        p = p.fma(r, FloatVector.broadcast(FLOAT, E1));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E2));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E3));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E4));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E5));
        p = p.fma(r.mul(r), r).add(1f);
        // times 2ⁿ in two steps, because 2ⁿ itself may be too large or too small for a float: the low bits of "shifted"
        // are the sum of both exponents, what stands above them is shifted out
        IntVector exponents = shifted.reinterpretAsInts();
        IntVector half = exponents.lanewise(VectorOperators.LSHR, 1);
        return p.mul(half.lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                .mul(exponents.sub(half).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
    }

    /** σ(x) = 1 / (1 + e⁻ˣ), e⁻ˣ having the bits of {@link #exp}. NaN gives a number, but x σ(x) is NaN then. */
    static FloatVector sigmoid(FloatVector x) {
        // shares no method with exp: C2 would stop inlining it in a large loop and make an object for every vector;
        // clamped as integers, one instruction each: of positive floats the least, of negative ones the least unsigned
        FloatVector clamped = x.neg()
                .reinterpretAsInts()
                .min(SIGMOID_MOST)
                .lanewise(VectorOperators.UMIN, SIGMOID_LEAST)
                .reinterpretAsFloats();
        FloatVector shifted =
                clamped.fma(FloatVector.broadcast(FLOAT, LOG2_E), FloatVector.broadcast(FLOAT, SIGMOID_ROUNDER));
        FloatVector n = shifted.sub(SIGMOID_ROUNDER);
        FloatVector r = n.fma(FloatVector.broadcast(FLOAT, -LN2_HIGH), clamped);
        r = n.fma(FloatVector.broadcast(FLOAT, -LN2_LOW), r);
        FloatVector p = FloatVector.broadcast(FLOAT, E0);
        p = p.fma(r, FloatVector.broadcast(FLOAT, E1));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E2));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E3));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E4));
        p = p.fma(r, FloatVector.broadcast(FLOAT, E5));
        p = p.fma(r.mul(r), r).add(1f);
        // half of e⁻ˣ: 2ⁿ⁻¹ is a float for every n that the clamps let pass, 2ⁿ is not
        FloatVector half = p.mul(
                shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
        FloatVector one = FloatVector.broadcast(FLOAT, 1f);
        return one.div(half.fma(FloatVector.broadcast(FLOAT, 2f), one));
    }

    /** bfloat16 bits to the floats that they stand for. */
    static FloatVector widen(ShortVector bits) {
        IntVector wide = (IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, INT, 0);
        return wide.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    /** Floats rounded to bfloat16: to nearest, ties to even; NaN stays NaN. */
    static ShortVector narrow(FloatVector v) {
        IntVector bits = v.reinterpretAsInts();
        IntVector high = bits.lanewise(VectorOperators.LSHR, 16);
        IntVector rounded = bits.add(high.and(1)).add(0x7fff).lanewise(VectorOperators.LSHR, 16);
        IntVector result =
                rounded.blend(high.or(0x0040), v.test(VectorOperators.IS_NAN).cast(INT));
        return (ShortVector) result.convertShape(VectorOperators.I2S, SHORT, 0);
    }
}
