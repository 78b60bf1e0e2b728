package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The operations of a training step, named by their maths: the narrow waist between models and hardware.
 *
 * <p>M is a number of tokens; weights are [out, in] as in PyTorch. "Compute dtype" is F32 or BF16, the same for all operands of a
 * call; products and sums accumulate in float32. A bf16 output that is the sum of several products (projections, adapters) may
 * be rounded once for each of them. <b>Activation gradients are overwritten ({@code =}), parameter gradients are
 * accumulated into ({@code +=})</b>, except where an {@code accumulate} flag says otherwise. Inputs and outputs may not overlap
 * unless a method allows it. Calls run in order; an engine may return before the work is done, and only {@code download} waits.
 * Results are a function of the inputs alone: same inputs, same bits. An engine is used by one thread at a time.
 */
public interface Engine extends AutoCloseable {
    /** As typed after {@code --engine}. */
    String name();

    /** One line about the hardware and libraries in use. */
    String description();

    /** Whether this machine computes fast in {@code precision}; where not, callers choose F32 and say so. */
    boolean supports(Precision precision);

    /** Bytes that could be allocated now, as far as the machine tells, and those of {@link BufferLayout#engineBytes}. */
    long availableBytes();

    /** How buffers for this engine are laid out; the same for its whole life. */
    BufferLayout bufferLayout();

    // ---- memory

    /**
     * Announces that {@code bytes} will be allocated next, in many pieces: an engine whose memory comes in large blocks can take one
     * of that size. Allocating more or less is allowed.
     *
     * @param protectedBytes likewise, and beside {@code bytes}, of weights that the engine {@link #protects}
     */
    void reserve(long bytes, long protectedBytes);

    /** Zeroed memory on a boundary of {@link BufferLayout#alignment} bytes. Refused with one line that gives bytes asked and available. */
    Memory allocate(long bytes);

    /**
     * A frozen weight from its checkpoint bytes, used in place where the stored dtype is the compute dtype and the hardware can
     * read it there, otherwise copied once (rounding to nearest even) into memory that the returned view owns.
     *
     * @param stored the mapped bytes of the tensor, readable from any thread: rows × cols elements of {@code storedType} (F32, F16 or BF16)
     */
    TensorView freeze(MemorySegment stored, DType storedType, int rows, int cols, DType compute);

    /** Bytes that {@link #freeze} would allocate; 0 where the mapped file is used in place. */
    long freezeBytes(DType storedType, int rows, int cols, DType compute);

    /** Whether {@link #freeze} copies weights of so many rows to where {@link #protectFrozen} keeps them from being written. */
    default boolean protects(int rows) {
        return false;
    }

    /**
     * Announces that a model's weights are all frozen: from here on the hardware itself refuses to write those that the engine
     * {@link #protects}. Freezing more lifts that until the next call.
     */
    default void protectFrozen() {}

    /** Copies float32 numbers to a contiguous tensor, rounding them to its dtype. */
    void upload(float[] source, Tensor destination);

    /** Copies to a contiguous I32 tensor; {@code source} may be shorter than it. */
    void upload(int[] source, Tensor destination);

    /** Waits for all work and returns the elements, row by row, as float32. */
    float[] download(TensorView source);

    /** {@code destination = source}, converting between F32 and BF16. */
    void convert(TensorView source, Tensor destination);

    /** Every element = 0. */
    void zero(Tensor destination);

    /**
     * A 64-bit fingerprint of a tensor's bytes, row by row without what lies between rows: Σ mix(wᵢ + (i + 1) · 0x9E3779B97F4A7C15) mod 2⁶⁴ over its 8-byte
     * little-endian words (the last padded with zeros), mix being SplitMix64's finaliser. The same on every engine.
     */
    long fingerprint(TensorView tensor);

    /**
     * {@code y = a + b}, summed in float32 and rounded once. y may be a, and b where their dtypes are the same.
     *
     * @param b of the dtype of a and y, or F32
     */
    void add(TensorView a, TensorView b, Tensor y);

    // ---- rows by index

    /** {@code y[i] = table[index[i]]}; table [V, d], index I32 [1, M], y [M, d]. */
    void gatherRows(TensorView table, TensorView index, Tensor y);

    /** {@code table[index[i]] += y[i]}, in the order of i; dtypes may differ (a float32 gradient of a bf16 embedding). */
    void scatterAddRows(TensorView y, TensorView index, Tensor table);

    // ---- linear layers

    /**
     * For each projection {@code y = x Wᵀ + bias + Σ s (dropout(x) Aᵀ) Bᵀ [+ residual]}; x [M, K]. The row ranges of a
     * projection's adapters may be empty but not overlap.
     */
    void linearForward(TensorView x, List<Projection> projections);

    /**
     * {@code dx = Σ dy W + s (dy B) A} over the projections, {@code dA += s (dy B)ᵀ x}, {@code dB += s dyᵀ (x Aᵀ)}, and for
     * trainable weights {@code dW += dyᵀ x}, {@code dbias += Σ dy}. With dropout, dA is taken of dropout(x) and the adapter's part
     * of dx is masked alike. Every adapter needs its gradient buffers here.
     *
     * @param dx [M, K]; null where nothing before this layer is trained
     */
    void linearBackward(TensorView x, List<Projection> projections, @Nullable Tensor dx);

    // ---- what adapters do around linear layers

    /**
     * The length of each row of an adapted weight: {@code norms[i] = √ Σ (W[i, k] + s Σ B[i, j] A[j, k])²}.
     *
     * @param weight W [N, K] in the compute dtype
     * @param a A [r, K] F32
     * @param b B [N, r] F32
     * @param norms F32 [1, N], written
     */
    void rowNorms(TensorView weight, TensorView a, TensorView b, float scale, Tensor norms);

    /**
     * {@code y = z · m / n [+ bias] [+ residual]}, where column i of z is multiplied by m[i] / n[i], and by 0 where n[i] is 0.
     *
     * @param z [M, N] in the compute dtype or F32
     * @param magnitude m F32 [1, N]; null for z as it is, norms likewise
     * @param norms n F32 [1, N]
     * @param bias [1, N] in the compute dtype, or null
     * @param residual z's shape and dtype, or null
     * @param y z's shape and dtype, written; may be z, and may be residual
     */
    void rescaleForward(
            TensorView z,
            @Nullable TensorView magnitude,
            @Nullable TensorView norms,
            @Nullable TensorView bias,
            @Nullable TensorView residual,
            Tensor y);

    /**
     * {@code dz = dy · m / n} and {@code dm += Σ dy · z / n}, column by column, with n taken as a constant; 0 where n is 0.
     *
     * @param dy [M, N] in the compute dtype
     * @param z of the forward pass, in dy's dtype or F32
     * @param dz dy's shape and dtype, written; may be dy, and where it has its dtype z
     * @param magnitudeGradient dm F32 [1, N]
     */
    void rescaleBackward(
            TensorView dy, TensorView z, TensorView magnitude, TensorView norms, Tensor dz, Tensor magnitudeGradient);

    /**
     * {@code y (= or +=) dropout(x)}, or x - dropout(x), with rows counted from x's first. Its backward is itself.
     *
     * @param complement whether x - dropout(x) is taken
     * @param accumulate y += instead of =
     * @param y x's shape and dtype; may be x where it is not added to
     */
    void dropout(TensorView x, Dropout dropout, boolean complement, boolean accumulate, Tensor y);

    // ---- the rest of a decoder layer

    /**
     * {@code rstd = 1 / √(mean(x²) + ε)}, {@code y = x · rstd · w} row by row.
     *
     * @param weight [1, d] in the compute dtype
     * @param rstd F32 [1, M], written
     */
    void rmsNormForward(TensorView x, TensorView weight, float epsilon, Tensor y, Tensor rstd);

    /**
     * With {@code g = dy · w}: {@code dx = rstd · (g - x · rstd² · mean(g · x))}; {@code dw += Σ dy · x · rstd}.
     *
     * @param accumulate dx += instead of =; without it dx may be dy
     * @param weightGradient F32 [1, d] or null
     */
    void rmsNormBackward(
            TensorView dy,
            TensorView x,
            TensorView weight,
            TensorView rstd,
            Tensor dx,
            boolean accumulate,
            @Nullable Tensor weightGradient);

    /**
     * Rotates pairs (i, i + D/2) of every head in place by the angle of the row's position, as Hugging Face's Llama does:
     * {@code x₁ ← x₁ cos - x₂ sin}, {@code x₂ ← x₂ cos + x₁ sin}.
     *
     * @param x [M, heads · D]
     * @param cosSin F32 [positions, D]: D/2 cosines, then D/2 sines
     * @param positions I32 [1, M]
     * @param inverse rotates back, which is the backward pass
     */
    void rope(Tensor x, TensorView cosSin, TensorView positions, int headDim, boolean inverse);

    /**
     * {@code o = softmax(scale · q kᵀ + causal mask) v} per head and sequence. Every row of q belongs to a sequence; rows of k
     * and v that belong to none are not read.
     *
     * @param q [M, H · D]
     * @param k [rows, Hkv · D]
     * @param v [rows, Hkv · D]
     * @param o [M, H · D], written
     * @param logSumExp F32 [M, H]: per query and head, ln Σ exp(scores); written
     */
    void attentionForward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            Tensor o,
            Tensor logSumExp);

    /** Gradients of {@link #attentionForward}; the probabilities are computed again from logSumExp. dO may not overlap. */
    void attentionBackward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            TensorView o,
            TensorView logSumExp,
            TensorView dO,
            Tensor dq,
            Tensor dk,
            Tensor dv);

    /** {@code y = silu(gate) · up} with {@code silu(g) = g / (1 + e⁻ᵍ)}. */
    void swigluForward(TensorView gate, TensorView up, Tensor y);

    /** {@code dgate = dy · up · σ(g) (1 + g (1 - σ(g)))}, {@code dup = dy · silu(g)}. dgate may be gate, dup may be up. */
    void swigluBackward(TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup);

    /** {@code y = x Φ(x)} with {@code Φ(x) = ½ (1 + erf(x / √2))}: the exact GELU (Hendrycks and Gimpel, 2016), not its tanh form. */
    void geluForward(TensorView x, Tensor y);

    /** {@code dx = dy (Φ(x) + x φ(x))} with {@code φ(x) = e^(-x²/2) / √(2π)}. dx may be x. */
    void geluBackward(TensorView dy, TensorView x, Tensor dx);

    /**
     * Softmax cross-entropy by rows: {@code loss = ln Σ exp(logits) - logits[target]} and
     * {@code dlogits = gradScale · (softmax(logits) - onehot(target))}.
     *
     * @param logits F32 [M, V]
     * @param targets I32 [1, M]
     * @param losses F32 [1, M], written
     * @param dlogits [M, V] in the compute dtype, or null for the loss alone; may be logits
     */
    void crossEntropy(TensorView logits, TensorView targets, float gradScale, Tensor losses, @Nullable Tensor dlogits);

    // ---- optimizer, over flat float32 buffers [1, n]

    /** {@code result[0] = Σ x²}, in a fixed order; result F32 [1, 1]. */
    void sumOfSquares(TensorView x, Tensor result);

    /**
     * One AdamW step. Where Σg² is not finite nothing is changed, so that a failed step leaves the last good weights.
     *
     * @param sumOfSquares F32 [1, 1]: Σ over all gradients, for clipping
     */
    void adamW(
            AdamW parameters,
            Tensor values,
            TensorView gradients,
            Tensor moment1,
            Tensor moment2,
            TensorView sumOfSquares);

    @Override
    void close();
}
