package dev.graft.io;

import dev.graft.tensor.DType;
import java.util.List;

/**
 * A tensor as a safetensors header describes it. Elements lie row-major and little-endian.
 *
 * @param name the key, such as {@code model.layers.0.self_attn.q_proj.weight}
 * @param dtype the element type
 * @param shape the dimensions, outermost first; empty for a scalar
 * @param begin first byte, counted from the start of the file's data section
 * @param end one past the last byte
 */
public record TensorInfo(String name, DType dtype, List<Long> shape, long begin, long end) {
    /**
     * Copies the shape and checks that it fills the range.
     *
     * @throws IllegalArgumentException for a range that is negative or not the size of the shape
     * @throws ArithmeticException for a shape of 2^63 bytes or more
     */
    public TensorInfo {
        shape = List.copyOf(shape);
        if (begin < 0 || end < begin) {
            throw new IllegalArgumentException("data_offsets [" + begin + ", " + end + "] are not a range");
        }
        long needed = byteSize(dtype, shape);
        if (end - begin != needed) {
            throw new IllegalArgumentException("shape " + shape + " of " + dtype + " takes " + needed
                    + " bytes but data_offsets [" + begin + ", " + end + "] span " + (end - begin));
        }
    }

    /** Number of elements: the product of the dimensions, 1 for a scalar. */
    public long elements() {
        return (end - begin) / dtype.byteSize();
    }

    public long byteSize() {
        return end - begin;
    }

    /**
     * Bytes of a tensor of that type and shape.
     *
     * @throws IllegalArgumentException for a negative dimension
     * @throws ArithmeticException if the product overflows
     */
    static long byteSize(DType dtype, List<Long> shape) {
        long elements = 1;
        for (long dimension : shape) {
            if (dimension < 0) {
                throw new IllegalArgumentException("shape " + shape + " has a negative dimension");
            }
            elements = Math.multiplyExact(elements, dimension);
        }
        return Math.multiplyExact(elements, (long) dtype.byteSize());
    }
}
