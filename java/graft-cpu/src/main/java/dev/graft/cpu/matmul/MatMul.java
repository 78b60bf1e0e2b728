package dev.graft.cpu.matmul;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products {@code c = op(a) op(b) [+ bias] [+ addend | + beta c]} with {@code op(x)} = x or xᵀ.
 *
 * <p>Shapes: op(a) [M, K], op(b) [K, N], bias [1, N], addend and c [M, N]; any pitch, any offset. Types: a and b both F32, then
 * c is F32; or both BF16, then c is BF16 or F32. The bias may be either, the addend has c's type. Sums are formed in float32
 * (f32 stays f32: no rounding of the inputs to anything shorter) and rounded once, to c's type, at the end.
 *
 * <p>The same inputs give the same bits in every run on the same machine with the same number of workers. c must not overlap a
 * or b; the addend may be c itself, but must not overlap it in part.
 */
public interface MatMul extends AutoCloseable {
    /**
     * Computes {@code product} with all workers of the pool. Several threads may call this; their products run one after the
     * other. Not to be called from inside the pool's tasks.
     */
    void multiply(Product product);

    /**
     * Computes {@code product} on the calling thread alone, for small products inside a task of the pool.
     *
     * @param worker the number that the pool gave the task
     */
    void multiplyOn(int worker, Product product);

    /**
     * Whether the CPU has instructions for products of bf16 numbers. Without them BF16 matrices are widened block by block: right
     * too, and not faster than F32.
     */
    boolean supportsBf16();

    /** What does the work, for logs. */
    String description();

    /** Frees native memory; the pool stays. Does nothing the second time. */
    @Override
    void close();

    /** {@link #multiply(Product)}, spelled out. */
    default void multiply(
            TensorView a,
            boolean transA,
            TensorView b,
            boolean transB,
            float beta,
            @Nullable TensorView addend,
            @Nullable TensorView bias,
            Tensor c) {
        multiply(new Product(a, transA, b, transB, beta, addend, bias, c));
    }

    /** {@code c = op(a) op(b)}. */
    default void multiply(TensorView a, boolean transA, TensorView b, boolean transB, Tensor c) {
        multiply(new Product(a, transA, b, transB, 0, null, null, c));
    }

    /** {@link #multiplyOn(int, Product)}, spelled out. */
    default void multiplyOn(
            int worker,
            TensorView a,
            boolean transA,
            TensorView b,
            boolean transB,
            float beta,
            @Nullable TensorView addend,
            @Nullable TensorView bias,
            Tensor c) {
        multiplyOn(worker, new Product(a, transA, b, transB, beta, addend, bias, c));
    }

    /** {@code c = op(a) op(b)} on one worker. */
    default void multiplyOn(int worker, TensorView a, boolean transA, TensorView b, boolean transB, Tensor c) {
        multiplyOn(worker, new Product(a, transA, b, transB, 0, null, null, c));
    }

    /** The fastest that works on this machine: oneDNN, or plain Java with a warning that says why. */
    static MatMul create(WorkerPool pool) {
        return MatMulProvider.create(pool);
    }
}
