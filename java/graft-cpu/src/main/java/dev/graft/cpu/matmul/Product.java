package dev.graft.cpu.matmul;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/**
 * One matrix product, as {@link MatMul} describes it.
 *
 * @param beta 0 to overwrite c, 1 to add to it
 * @param addend added to the product, or null; then beta must be 0
 */
public record Product(
        TensorView a,
        boolean transA,
        TensorView b,
        boolean transB,
        float beta,
        @Nullable TensorView addend,
        @Nullable TensorView bias,
        Tensor c) {

    /** @throws IllegalArgumentException if shapes or types do not fit; the message gives them */
    public Product {
        DType inputs = a.dtype();
        boolean inputsFit = inputs == b.dtype() && (inputs == DType.F32 || inputs == DType.BF16);
        if (!inputsFit || !(c.dtype() == DType.F32 || c.dtype() == inputs)) {
            throw mismatch("types", a, transA, b, transB, c);
        }
        int k = transA ? a.rows() : a.cols();
        if ((transA ? a.cols() : a.rows()) != c.rows()
                || k != (transB ? b.cols() : b.rows())
                || (transB ? b.rows() : b.cols()) != c.cols()) {
            throw mismatch("shapes", a, transA, b, transB, c);
        }
        if (beta != 0 && beta != 1) {
            throw new IllegalArgumentException("beta of a matrix product must be 0 or 1, not " + beta);
        }
        if (addend != null
                && (beta != 0
                        || addend.dtype() != c.dtype()
                        || addend.rows() != c.rows()
                        || addend.cols() != c.cols())) {
            throw new IllegalArgumentException(
                    "addend " + addend + " with beta " + beta + " does not fit the matrix product's result " + c);
        }
        if (bias != null
                && (bias.rows() != 1
                        || bias.cols() != c.cols()
                        || !(bias.dtype() == DType.F32 || bias.dtype() == DType.BF16))) {
            throw new IllegalArgumentException("bias " + bias + " does not fit the matrix product's result " + c);
        }
    }

    private static IllegalArgumentException mismatch(
            String what, TensorView a, boolean transA, TensorView b, boolean transB, Tensor c) {
        return new IllegalArgumentException(what + " do not fit in matrix product " + a + (transA ? "ᵀ" : "") + " · "
                + b + (transB ? "ᵀ" : "") + " = " + c);
    }

    /** Rows of c. */
    public int m() {
        return c.rows();
    }

    /** Columns of c. */
    public int n() {
        return c.cols();
    }

    /** Length of the sums. */
    public int k() {
        return transA ? a.rows() : a.cols();
    }

    /** The part of this product that gives rows {@code m0} to {@code m1} and columns {@code n0} to {@code n1} of c. */
    public Product tile(int m0, int m1, int n0, int n1) {
        return new Product(
                transA ? a.columns(m0, m1) : a.rows(m0, m1),
                transA,
                transB ? b.rows(n0, n1) : b.columns(n0, n1),
                transB,
                beta,
                addend == null ? null : addend.rows(m0, m1).columns(n0, n1),
                bias == null ? null : bias.columns(n0, n1),
                c.rows(m0, m1).columns(n0, n1));
    }
}
