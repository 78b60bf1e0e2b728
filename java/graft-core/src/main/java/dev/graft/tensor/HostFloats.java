package dev.graft.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Reads and writes little-endian float elements of stored tensors, converting to and from float32. */
public final class HostFloats {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private HostFloats() {}

    /** Elements {@code from} to {@code from + count} as float32; exact. */
    public static float[] read(MemorySegment stored, DType dtype, long from, int count) {
        float[] values = new float[count];
        read(stored, dtype, from, values);
        return values;
    }

    /** As {@link #read(MemorySegment, DType, long, int)}, into {@code values}, filling it. */
    public static void read(MemorySegment stored, DType dtype, long from, float[] values) {
        switch (dtype) {
            case F32 -> MemorySegment.copy(stored, FLOAT, from * 4, values, 0, values.length);
            case BF16 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = BFloat16.toFloat(stored.get(SHORT, (from + i) * 2));
                }
            }
            case F16 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = Float.float16ToFloat(stored.get(SHORT, (from + i) * 2));
                }
            }
            default -> throw new IllegalArgumentException(dtype + " is not a type that weights have");
        }
    }

    /** Writes {@code values} from element {@code from} on, rounding to nearest even. */
    public static void write(float[] values, MemorySegment stored, DType dtype, long from) {
        switch (dtype) {
            case F32 -> MemorySegment.copy(values, 0, stored, FLOAT, from * 4, values.length);
            case BF16 -> {
                for (int i = 0; i < values.length; i++) {
                    stored.set(SHORT, (from + i) * 2, BFloat16.fromFloat(values[i]));
                }
            }
            case F16 -> {
                for (int i = 0; i < values.length; i++) {
                    stored.set(SHORT, (from + i) * 2, Float.floatToFloat16(values[i]));
                }
            }
            default -> throw new IllegalArgumentException(dtype + " is not a type that weights have");
        }
    }

    /** {@code value} rounded to {@code dtype} and back. */
    public static float round(float value, DType dtype) {
        return switch (dtype) {
            case F32 -> value;
            case BF16 -> BFloat16.round(value);
            case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
            default -> throw new IllegalArgumentException(dtype + " is not a type that weights have");
        };
    }
}
