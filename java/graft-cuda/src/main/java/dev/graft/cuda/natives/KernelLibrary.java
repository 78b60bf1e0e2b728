package dev.graft.cuda.natives;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/**
 * The functions of the kernel library, one method each; {@code native/include/graft_cuda.h} says what they compute. Device
 * pointers and the stream are plain {@code long}s. Every method returns the function's status, 0 for success;
 * {@link #lastError} has the text of a failure.
 */
public final class KernelLibrary {
    /** GRAFT_ABI_VERSION of the header that this class was written for. */
    static final int ABI_VERSION = 4;

    /** GRAFT_SCRATCH_TOO_SMALL. */
    public static final int SCRATCH_TOO_SMALL = 2;

    private static final Linker LINKER = Linker.nativeLinker();
    /** Device pointers: no access from the host, so plain numbers. */
    private static final MemoryLayout P = JAVA_LONG;

    private static final MemoryLayout I = JAVA_INT;
    private static final MemoryLayout L = JAVA_LONG;
    private static final MemoryLayout F = JAVA_FLOAT;
    /** Host structs. */
    private static final MemoryLayout S = ADDRESS;

    private final SymbolLookup library;

    // int32_t graft_abi_version(void)
    private final MethodHandle abiVersion;

    // const char *graft_last_error(void)
    private final MethodHandle lastError;

    // int32_t graft_check_device(void *stream)
    private final MethodHandle checkDevice;

    // int32_t graft_convert(stream, source_dtype, source, source_pitch, destination_dtype, destination,
    //                       destination_pitch, rows, cols)
    private final MethodHandle convert;

    // int32_t graft_fill_rows(stream, dtype, bias, bias_dtype, residual, residual_pitch, y, y_pitch, rows, cols)
    private final MethodHandle fillRows;

    // int32_t graft_fingerprint(stream, bytes, row_bytes, pitch_bytes, rows, uint64_t *result)
    private final MethodHandle fingerprint;

    // int32_t graft_gather_rows(stream, dtype, table, table_pitch, index, y, y_pitch, rows, cols)
    private final MethodHandle gatherRows;

    // int32_t graft_scatter_add_rows(stream, y_dtype, y, y_pitch, index, table_dtype, table, table_pitch, rows, cols)
    private final MethodHandle scatterAddRows;

    // int32_t graft_add_column_sums(stream, dtype, x, x_pitch, rows, cols, sums, scratch, scratch_bytes)
    private final MethodHandle addColumnSums;

    // int32_t graft_row_norms(stream, dtype, weight, weight_pitch, a, a_pitch, b, b_pitch, rank, scale, norms, rows,
    //                         cols)
    private final MethodHandle rowNorms;

    // int32_t graft_rescale_forward(stream, dtype, z, z_pitch, magnitude, norms, bias, bias_dtype, residual,
    //                               residual_pitch, y, y_pitch, rows, cols)
    private final MethodHandle rescaleForward;

    // int32_t graft_rescale_backward(stream, dtype, dy, dy_pitch, z_dtype, z, z_pitch, magnitude, norms, dz, dz_pitch,
    //                                magnitude_gradient, rows, cols, scratch, scratch_bytes)
    private final MethodHandle rescaleBackward;

    // int32_t graft_dropout(stream, dtype, x, x_pitch, seed, step, dropout_stream, threshold, scale, complement,
    //                       accumulate, y, y_pitch, rows, cols)
    private final MethodHandle dropout;

    // int32_t graft_rms_norm_forward(stream, dtype, x, x_pitch, weight, epsilon, y, y_pitch, rstd, rows, cols)
    private final MethodHandle rmsNormForward;

    // int32_t graft_rms_norm_backward(stream, dtype, dy, dy_pitch, x, x_pitch, weight, rstd, dx, dx_pitch, accumulate,
    //                                 weight_gradient, rows, cols, scratch, scratch_bytes)
    private final MethodHandle rmsNormBackward;

    // int32_t graft_rope(stream, dtype, x, x_pitch, cos_sin, cos_sin_pitch, positions, inverse, rows, heads, head_dim)
    private final MethodHandle rope;

    // int32_t graft_attention_forward(stream, dtype, attention, q, q_pitch, k, k_pitch, v, v_pitch, o, o_pitch,
    //                                 log_sum_exp, log_sum_exp_pitch)
    private final MethodHandle attentionForward;

    // int32_t graft_attention_backward(stream, dtype, attention, q, q_pitch, k, k_pitch, v, v_pitch, o, o_pitch,
    //                                  log_sum_exp, log_sum_exp_pitch, d_o, d_o_pitch, dq, dq_pitch, dk, dk_pitch,
    //                                  dv, dv_pitch, query_rows, scratch, scratch_bytes)
    private final MethodHandle attentionBackward;

    // int32_t graft_swiglu_forward(stream, dtype, gate, gate_pitch, up, up_pitch, y, y_pitch, rows, cols)
    private final MethodHandle swigluForward;

    // int32_t graft_swiglu_backward(stream, dtype, dy, dy_pitch, gate, gate_pitch, up, up_pitch, d_gate,
    //                               d_gate_pitch, d_up, d_up_pitch, rows, cols)
    private final MethodHandle swigluBackward;

    // int32_t graft_gelu_forward(stream, dtype, x, x_pitch, y, y_pitch, rows, cols)
    private final MethodHandle geluForward;

    // int32_t graft_gelu_backward(stream, dtype, dy, dy_pitch, x, x_pitch, dx, dx_pitch, rows, cols)
    private final MethodHandle geluBackward;

    // int32_t graft_add(stream, dtype, a, a_pitch, b_dtype, b, b_pitch, y, y_pitch, rows, cols)
    private final MethodHandle add;

    // int32_t graft_cross_entropy(stream, logits, logits_pitch, targets, gradient_scale, losses, d_logits_dtype,
    //                             d_logits, d_logits_pitch, rows, vocabulary)
    private final MethodHandle crossEntropy;

    // int32_t graft_sum_of_squares(stream, x, n, result, scratch, scratch_bytes)
    private final MethodHandle sumOfSquares;

    // int32_t graft_adam_w_step(stream, parameters, values, gradients, moment1, moment2, sum_of_squares, n)
    private final MethodHandle adamWStep;

    // int32_t graft_lora_shrink_input(stream, dtype, x, x_pitch, inner, terms, count, scratch, scratch_bytes)
    private final MethodHandle loraShrinkInput;

    // int32_t graft_lora_shrink_gradient(stream, dtype, dy, dy_pitch, inner, terms, count, scratch, scratch_bytes)
    private final MethodHandle loraShrinkGradient;

    // int32_t graft_lora_input_factor_gradient(stream, dtype, x, x_pitch, inner, terms, count, scratch, scratch_bytes)
    private final MethodHandle loraInputFactorGradient;

    // int32_t graft_lora_expand_output(stream, dtype, y_dtype, y, y_pitch, outer, terms, count)
    private final MethodHandle loraExpandOutput;

    // int32_t graft_lora_expand_gradient(stream, dtype, dx, dx_pitch, inner, terms, count)
    private final MethodHandle loraExpandGradient;

    /**
     * Binds every function of a library.
     *
     * @throws IllegalStateException where it is of another version
     */
    KernelLibrary(SymbolLookup library) {
        this.library = library;
        abiVersion = LINKER.downcallHandle(library.findOrThrow("graft_abi_version"), FunctionDescriptor.of(JAVA_INT));
        int version = abiVersion();
        if (version != ABI_VERSION) {
            throw new IllegalStateException("the kernel library has ABI version " + version + ", this Graft needs "
                    + ABI_VERSION + "; build it again with scripts/build-native");
        }
        lastError = LINKER.downcallHandle(library.findOrThrow("graft_last_error"), FunctionDescriptor.of(ADDRESS));
        checkDevice = handle("graft_check_device", P);
        convert = handle("graft_convert", P, I, P, L, I, P, L, L, L);
        fillRows = handle("graft_fill_rows", P, I, P, I, P, L, P, L, L, L);
        fingerprint = handle("graft_fingerprint", P, P, L, L, L, P);
        gatherRows = handle("graft_gather_rows", P, I, P, L, P, P, L, L, L);
        scatterAddRows = handle("graft_scatter_add_rows", P, I, P, L, P, I, P, L, L, L);
        addColumnSums = handle("graft_add_column_sums", P, I, P, L, L, L, P, P, L);
        rowNorms = handle("graft_row_norms", P, I, P, L, P, L, P, L, L, F, P, L, L);
        rescaleForward = handle("graft_rescale_forward", P, I, P, L, P, P, P, I, P, L, P, L, L, L);
        rescaleBackward = handle("graft_rescale_backward", P, I, P, L, I, P, L, P, P, P, L, P, L, L, P, L);
        dropout = handle("graft_dropout", P, I, P, L, L, I, I, I, F, I, I, P, L, L, L);
        rmsNormForward = handle("graft_rms_norm_forward", P, I, P, L, P, F, P, L, P, L, L);
        rmsNormBackward = handle("graft_rms_norm_backward", P, I, P, L, P, L, P, P, P, L, I, P, L, L, P, L);
        rope = handle("graft_rope", P, I, P, L, P, L, P, I, L, I, I);
        attentionForward = handle("graft_attention_forward", P, I, S, P, L, P, L, P, L, P, L, P, L);
        attentionBackward = handle(
                "graft_attention_backward", P, I, S, P, L, P, L, P, L, P, L, P, L, P, L, P, L, P, L, P, L, L, P, L);
        swigluForward = handle("graft_swiglu_forward", P, I, P, L, P, L, P, L, L, L);
        swigluBackward = handle("graft_swiglu_backward", P, I, P, L, P, L, P, L, P, L, P, L, L, L);
        geluForward = handle("graft_gelu_forward", P, I, P, L, P, L, L, L);
        geluBackward = handle("graft_gelu_backward", P, I, P, L, P, L, P, L, L, L);
        add = handle("graft_add", P, I, P, L, I, P, L, P, L, L, L);
        crossEntropy = handle("graft_cross_entropy", P, P, L, P, F, P, I, P, L, L, L);
        sumOfSquares = handle("graft_sum_of_squares", P, P, L, P, P, L);
        adamWStep = handle("graft_adam_w_step", P, S, P, P, P, P, P, L);
        loraShrinkInput = handle("graft_lora_shrink_input", P, I, P, L, L, S, I, P, L);
        loraShrinkGradient = handle("graft_lora_shrink_gradient", P, I, P, L, L, S, I, P, L);
        loraInputFactorGradient = handle("graft_lora_input_factor_gradient", P, I, P, L, L, S, I, P, L);
        loraExpandOutput = handle("graft_lora_expand_output", P, I, I, P, L, L, S, I);
        loraExpandGradient = handle("graft_lora_expand_gradient", P, I, P, L, L, S, I);
    }

    private MethodHandle handle(String name, MemoryLayout... parameters) {
        return LINKER.downcallHandle(library.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, parameters));
    }

    /** The linker's handles throw nothing but errors of the virtual machine. */
    private static RuntimeException unexpected(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return new IllegalStateException("a native call failed before it began", thrown);
    }

    private int abiVersion() {
        try {
            return (int) abiVersion.invokeExact();
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    /** What went wrong in this thread's last call that failed. */
    public String lastError() {
        MemorySegment text;
        try {
            text = (MemorySegment) lastError.invokeExact();
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        return text.reinterpret(Long.MAX_VALUE).getString(0);
    }

    public int checkDevice(long stream) {
        try {
            return (int) checkDevice.invokeExact(stream);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int convert(
            long stream,
            int sourceDtype,
            long source,
            long sourcePitch,
            int destinationDtype,
            long destination,
            long destinationPitch,
            long rows,
            long cols) {
        try {
            return (int) convert.invokeExact(
                    stream,
                    sourceDtype,
                    source,
                    sourcePitch,
                    destinationDtype,
                    destination,
                    destinationPitch,
                    rows,
                    cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int fillRows(
            long stream,
            int dtype,
            long bias,
            int biasDtype,
            long residual,
            long residualPitch,
            long y,
            long yPitch,
            long rows,
            long cols) {
        try {
            return (int) fillRows.invokeExact(
                    stream, dtype, bias, biasDtype, residual, residualPitch, y, yPitch, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int fingerprint(long stream, long bytes, long rowBytes, long pitchBytes, long rows, long result) {
        try {
            return (int) fingerprint.invokeExact(stream, bytes, rowBytes, pitchBytes, rows, result);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int gatherRows(
            long stream,
            int dtype,
            long table,
            long tablePitch,
            long index,
            long y,
            long yPitch,
            long rows,
            long cols) {
        try {
            return (int) gatherRows.invokeExact(stream, dtype, table, tablePitch, index, y, yPitch, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int scatterAddRows(
            long stream,
            int yDtype,
            long y,
            long yPitch,
            long index,
            int tableDtype,
            long table,
            long tablePitch,
            long rows,
            long cols) {
        try {
            return (int) scatterAddRows.invokeExact(
                    stream, yDtype, y, yPitch, index, tableDtype, table, tablePitch, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int addColumnSums(
            long stream,
            int dtype,
            long x,
            long xPitch,
            long rows,
            long cols,
            long sums,
            long scratch,
            long scratchBytes) {
        try {
            return (int) addColumnSums.invokeExact(stream, dtype, x, xPitch, rows, cols, sums, scratch, scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int rowNorms(
            long stream,
            int dtype,
            long weight,
            long weightPitch,
            long a,
            long aPitch,
            long b,
            long bPitch,
            long rank,
            float scale,
            long norms,
            long rows,
            long cols) {
        try {
            return (int) rowNorms.invokeExact(
                    stream, dtype, weight, weightPitch, a, aPitch, b, bPitch, rank, scale, norms, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int rescaleForward(
            long stream,
            int dtype,
            long z,
            long zPitch,
            long magnitude,
            long norms,
            long bias,
            int biasDtype,
            long residual,
            long residualPitch,
            long y,
            long yPitch,
            long rows,
            long cols) {
        try {
            return (int) rescaleForward.invokeExact(
                    stream,
                    dtype,
                    z,
                    zPitch,
                    magnitude,
                    norms,
                    bias,
                    biasDtype,
                    residual,
                    residualPitch,
                    y,
                    yPitch,
                    rows,
                    cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int rescaleBackward(
            long stream,
            int dtype,
            long dy,
            long dyPitch,
            int zDtype,
            long z,
            long zPitch,
            long magnitude,
            long norms,
            long dz,
            long dzPitch,
            long magnitudeGradient,
            long rows,
            long cols,
            long scratch,
            long scratchBytes) {
        try {
            return (int) rescaleBackward.invokeExact(
                    stream,
                    dtype,
                    dy,
                    dyPitch,
                    zDtype,
                    z,
                    zPitch,
                    magnitude,
                    norms,
                    dz,
                    dzPitch,
                    magnitudeGradient,
                    rows,
                    cols,
                    scratch,
                    scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int dropout(
            long stream,
            int dtype,
            long x,
            long xPitch,
            long seed,
            int step,
            int dropoutStream,
            int threshold,
            float scale,
            int complement,
            int accumulate,
            long y,
            long yPitch,
            long rows,
            long cols) {
        try {
            return (int) dropout.invokeExact(
                    stream,
                    dtype,
                    x,
                    xPitch,
                    seed,
                    step,
                    dropoutStream,
                    threshold,
                    scale,
                    complement,
                    accumulate,
                    y,
                    yPitch,
                    rows,
                    cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int rmsNormForward(
            long stream,
            int dtype,
            long x,
            long xPitch,
            long weight,
            float epsilon,
            long y,
            long yPitch,
            long rstd,
            long rows,
            long cols) {
        try {
            return (int)
                    rmsNormForward.invokeExact(stream, dtype, x, xPitch, weight, epsilon, y, yPitch, rstd, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int rmsNormBackward(
            long stream,
            int dtype,
            long dy,
            long dyPitch,
            long x,
            long xPitch,
            long weight,
            long rstd,
            long dx,
            long dxPitch,
            int accumulate,
            long weightGradient,
            long rows,
            long cols,
            long scratch,
            long scratchBytes) {
        try {
            return (int) rmsNormBackward.invokeExact(
                    stream,
                    dtype,
                    dy,
                    dyPitch,
                    x,
                    xPitch,
                    weight,
                    rstd,
                    dx,
                    dxPitch,
                    accumulate,
                    weightGradient,
                    rows,
                    cols,
                    scratch,
                    scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int rope(
            long stream,
            int dtype,
            long x,
            long xPitch,
            long cosSin,
            long cosSinPitch,
            long positions,
            int inverse,
            long rows,
            int heads,
            int headDim) {
        try {
            return (int) rope.invokeExact(
                    stream, dtype, x, xPitch, cosSin, cosSinPitch, positions, inverse, rows, heads, headDim);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int attentionForward(
            long stream,
            int dtype,
            MemorySegment attention,
            long q,
            long qPitch,
            long k,
            long kPitch,
            long v,
            long vPitch,
            long o,
            long oPitch,
            long logSumExp,
            long logSumExpPitch) {
        try {
            return (int) attentionForward.invokeExact(
                    stream, dtype, attention, q, qPitch, k, kPitch, v, vPitch, o, oPitch, logSumExp, logSumExpPitch);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int attentionBackward(
            long stream,
            int dtype,
            MemorySegment attention,
            long q,
            long qPitch,
            long k,
            long kPitch,
            long v,
            long vPitch,
            long o,
            long oPitch,
            long logSumExp,
            long logSumExpPitch,
            long dO,
            long dOPitch,
            long dq,
            long dqPitch,
            long dk,
            long dkPitch,
            long dv,
            long dvPitch,
            long queryRows,
            long scratch,
            long scratchBytes) {
        try {
            return (int) attentionBackward.invokeExact(
                    stream,
                    dtype,
                    attention,
                    q,
                    qPitch,
                    k,
                    kPitch,
                    v,
                    vPitch,
                    o,
                    oPitch,
                    logSumExp,
                    logSumExpPitch,
                    dO,
                    dOPitch,
                    dq,
                    dqPitch,
                    dk,
                    dkPitch,
                    dv,
                    dvPitch,
                    queryRows,
                    scratch,
                    scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int swigluForward(
            long stream,
            int dtype,
            long gate,
            long gatePitch,
            long up,
            long upPitch,
            long y,
            long yPitch,
            long rows,
            long cols) {
        try {
            return (int) swigluForward.invokeExact(stream, dtype, gate, gatePitch, up, upPitch, y, yPitch, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int swigluBackward(
            long stream,
            int dtype,
            long dy,
            long dyPitch,
            long gate,
            long gatePitch,
            long up,
            long upPitch,
            long dGate,
            long dGatePitch,
            long dUp,
            long dUpPitch,
            long rows,
            long cols) {
        try {
            return (int) swigluBackward.invokeExact(
                    stream,
                    dtype,
                    dy,
                    dyPitch,
                    gate,
                    gatePitch,
                    up,
                    upPitch,
                    dGate,
                    dGatePitch,
                    dUp,
                    dUpPitch,
                    rows,
                    cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int geluForward(long stream, int dtype, long x, long xPitch, long y, long yPitch, long rows, long cols) {
        try {
            return (int) geluForward.invokeExact(stream, dtype, x, xPitch, y, yPitch, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int geluBackward(
            long stream,
            int dtype,
            long dy,
            long dyPitch,
            long x,
            long xPitch,
            long dx,
            long dxPitch,
            long rows,
            long cols) {
        try {
            return (int) geluBackward.invokeExact(stream, dtype, dy, dyPitch, x, xPitch, dx, dxPitch, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int add(
            long stream,
            int dtype,
            long a,
            long aPitch,
            int bDtype,
            long b,
            long bPitch,
            long y,
            long yPitch,
            long rows,
            long cols) {
        try {
            return (int) add.invokeExact(stream, dtype, a, aPitch, bDtype, b, bPitch, y, yPitch, rows, cols);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int crossEntropy(
            long stream,
            long logits,
            long logitsPitch,
            long targets,
            float gradientScale,
            long losses,
            int dLogitsDtype,
            long dLogits,
            long dLogitsPitch,
            long rows,
            long vocabulary) {
        try {
            return (int) crossEntropy.invokeExact(
                    stream,
                    logits,
                    logitsPitch,
                    targets,
                    gradientScale,
                    losses,
                    dLogitsDtype,
                    dLogits,
                    dLogitsPitch,
                    rows,
                    vocabulary);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int sumOfSquares(long stream, long x, long n, long result, long scratch, long scratchBytes) {
        try {
            return (int) sumOfSquares.invokeExact(stream, x, n, result, scratch, scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int adamWStep(
            long stream,
            MemorySegment parameters,
            long values,
            long gradients,
            long moment1,
            long moment2,
            long sumOfSquares,
            long n) {
        try {
            return (int)
                    adamWStep.invokeExact(stream, parameters, values, gradients, moment1, moment2, sumOfSquares, n);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int loraShrinkInput(
            long stream,
            int dtype,
            long x,
            long xPitch,
            long inner,
            MemorySegment terms,
            int count,
            long scratch,
            long scratchBytes) {
        try {
            return (int)
                    loraShrinkInput.invokeExact(stream, dtype, x, xPitch, inner, terms, count, scratch, scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int loraShrinkGradient(
            long stream,
            int dtype,
            long dy,
            long dyPitch,
            long inner,
            MemorySegment terms,
            int count,
            long scratch,
            long scratchBytes) {
        try {
            return (int) loraShrinkGradient.invokeExact(
                    stream, dtype, dy, dyPitch, inner, terms, count, scratch, scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int loraInputFactorGradient(
            long stream,
            int dtype,
            long x,
            long xPitch,
            long inner,
            MemorySegment terms,
            int count,
            long scratch,
            long scratchBytes) {
        try {
            return (int) loraInputFactorGradient.invokeExact(
                    stream, dtype, x, xPitch, inner, terms, count, scratch, scratchBytes);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int loraExpandOutput(
            long stream, int dtype, int yDtype, long y, long yPitch, long outer, MemorySegment terms, int count) {
        try {
            return (int) loraExpandOutput.invokeExact(stream, dtype, yDtype, y, yPitch, outer, terms, count);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    public int loraExpandGradient(
            long stream, int dtype, long dx, long dxPitch, long inner, MemorySegment terms, int count) {
        try {
            return (int) loraExpandGradient.invokeExact(stream, dtype, dx, dxPitch, inner, terms, count);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }
}
