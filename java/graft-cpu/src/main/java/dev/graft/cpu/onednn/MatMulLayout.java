package dev.graft.cpu.onednn;

import dev.graft.tensor.DType;
import org.jspecify.annotations.Nullable;

/**
 * All that a matrix product's code depends on, everything but the addresses: {@code c = op(a) op(b) [+ bias] [+ addition]} with
 * {@code op(a)} [m, k], {@code op(b)} [k, n] and c [m, n].
 *
 * @param pitchA elements from one row of a, as it lies in memory, to the next; likewise the others. An addend has c's pitch
 * @param inputs the type of a and b
 * @param bias the type of the bias, null for none
 */
public record MatMulLayout(
        int m,
        int n,
        int k,
        boolean transA,
        long pitchA,
        boolean transB,
        long pitchB,
        long pitchC,
        DType inputs,
        DType output,
        @Nullable DType bias,
        Addition addition) {
    /** What is added to the product. */
    public enum Addition {
        NONE,
        /** what c holds */
        DESTINATION,
        /** another matrix of c's layout */
        ADDEND
    }

    /** For messages: {@code f32 [64, 576]ᵀ x [64, 17] -> bf16 [576, 17]}. */
    @Override
    public String toString() {
        String a = transA ? "[" + k + ", " + m + "]ᵀ" : "[" + m + ", " + k + "]";
        String b = transB ? "[" + n + ", " + k + "]ᵀ" : "[" + k + ", " + n + "]";
        return "matrix product of " + inputs + " " + a + " and " + b + " to " + output + " [" + m + ", " + n
                + "], pitches " + pitchA + ", " + pitchB + ", " + pitchC + ", bias " + bias + ", added " + addition;
    }
}
