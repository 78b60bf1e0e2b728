package dev.graft.tensor;

/**
 * Conversions between float32 and bfloat16 (1 sign, 8 exponent, 7 fraction bits). Rounding is to nearest, ties to even, as in
 * PyTorch; NaN stays NaN.
 */
public final class BFloat16 {
    private BFloat16() {}

    /** The float32 with the value of {@code bits}; exact. */
    public static float toFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** {@code value} rounded to bfloat16. */
    public static short fromFloat(float value) {
        int bits = Float.floatToRawIntBits(value);
        if ((bits & 0x7fffffff) > 0x7f800000) {
            return (short) ((bits >>> 16) | 0x0040);
        }
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }

    /** {@code value} rounded to bfloat16 and back. */
    public static float round(float value) {
        return toFloat(fromFloat(value));
    }
}
