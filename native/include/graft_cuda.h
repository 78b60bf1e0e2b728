/*
 * The kernel library of Graft's CUDA engine: every operation of a LoRA training step that is not a plain matrix product.
 *
 * Conventions
 *   - Functions enqueue work on `stream` (a CUstream) of the current context and return at once. They never allocate, never wait
 *     and never touch host memory after they return.
 *   - Return value: GRAFT_OK, or the code of a failure whose text graft_last_error() gives.
 *   - A matrix is a device pointer and a pitch: the number of elements from one row's start to the next one's. No alignment beyond
 *     the element's is asked for; 16-byte aligned pointers and pitches take the fast path.
 *   - `dtype` is GRAFT_F32 or GRAFT_BF16 and is that of every matrix of the call that is not said to be otherwise. Sums are float32.
 *   - "=" means overwritten, "+=" means added to.
 *   - Results are a function of the inputs alone: reductions run in a fixed order, there are no floating-point atomics.
 *   - `scratch` is device memory on a 256-byte boundary that a call may use as it likes; what it holds afterwards is of no interest.
 *     A call that needs more than `scratch_bytes` returns GRAFT_SCRATCH_TOO_SMALL and does nothing. Where a larger scratch only helps
 *     speed (how far a reduction is split), the call adapts to what it is given.
 *   - Sizes of zero are allowed and do nothing (where "=" covers no element).
 */
#ifndef GRAFT_CUDA_H
#define GRAFT_CUDA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define GRAFT_API __declspec(dllexport)
#else
#define GRAFT_API __attribute__((visibility("default")))
#endif

/* Changes whenever a prototype, struct or constant of this file does. */
#define GRAFT_ABI_VERSION 4

enum { GRAFT_OK = 0, GRAFT_INVALID_ARGUMENT = 1, GRAFT_SCRATCH_TOO_SMALL = 2, GRAFT_CUDA_ERROR = 3 };

enum { GRAFT_F32 = 0, GRAFT_BF16 = 1, GRAFT_F16 = 2 };

/* ---- library (library.cu) */

GRAFT_API int32_t graft_abi_version(void);

/* What went wrong in the last call of this thread that did not return GRAFT_OK: operation, CUDA error. Never null. */
GRAFT_API const char *graft_last_error(void);

/* Runs an empty kernel and waits for it: GRAFT_CUDA_ERROR with a text that says so where the library was not built for the current
 * device or the driver is too old for it. The one function that waits. */
GRAFT_API int32_t graft_check_device(void *stream);

/* ---- copies (convert.cu, fingerprint.cu, rows.cu) */

/* destination[rows, cols] = source[rows, cols], rounding to nearest even. source_dtype: F32, BF16 or F16; destination_dtype: F32 or BF16. */
GRAFT_API int32_t graft_convert(void *stream, int32_t source_dtype, const void *source, int64_t source_pitch,
                                int32_t destination_dtype, void *destination, int64_t destination_pitch, int64_t rows, int64_t cols);

/* y[rows, cols] = bias[cols] + residual[rows, cols]; either may be null (taken as 0). bias and residual have y's dtype `dtype`,
 * except that with bias_dtype BF16 and dtype F32 the bias is BF16. What a product is then added to. */
GRAFT_API int32_t graft_fill_rows(void *stream, int32_t dtype, const void *bias, int32_t bias_dtype, const void *residual,
                                  int64_t residual_pitch, void *y, int64_t y_pitch, int64_t rows, int64_t cols);

/* *result (one uint64 in device memory) = sum over the 8-byte little-endian words w_i of rows*row_bytes bytes, taken row by row
 * without the gaps between rows (pitch_bytes apart; the last word padded with zeros), of mix(w_i + (i + 1) * 0x9E3779B97F4A7C15),
 * mix being SplitMix64's finaliser. Integer sums: any order gives the same value. */
GRAFT_API int32_t graft_fingerprint(void *stream, const void *bytes, int64_t row_bytes, int64_t pitch_bytes, int64_t rows,
                                    uint64_t *result);

/* y[i] = table[index[i]], i < rows. index: int32 [rows], each in [0, table_rows), checked by the caller. */
GRAFT_API int32_t graft_gather_rows(void *stream, int32_t dtype, const void *table, int64_t table_pitch, const int32_t *index, void *y,
                                    int64_t y_pitch, int64_t rows, int64_t cols);

/* table[index[i]] += y[i], in the order of i for rows that repeat. */
GRAFT_API int32_t graft_scatter_add_rows(void *stream, int32_t y_dtype, const void *y, int64_t y_pitch, const int32_t *index,
                                         int32_t table_dtype, void *table, int64_t table_pitch, int64_t rows, int64_t cols);

/* sums[cols] (F32) += sum over rows of x[rows, cols]: a bias gradient. */
GRAFT_API int32_t graft_add_column_sums(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t rows, int64_t cols,
                                        float *sums, void *scratch, int64_t scratch_bytes);

/* ---- what DoRA does around linear layers (rescale.cu, dropout.cu); magnitude and norms F32 [cols] */

/* norms F32 [rows] = sqrt(sum over k of (weight[i, k] + scale * sum over j of b[i, j] a[j, k])^2); weight [rows, cols] of dtype,
 * a [rank, cols] and b [rows, rank] F32. */
GRAFT_API int32_t graft_row_norms(void *stream, int32_t dtype, const void *weight, int64_t weight_pitch, const float *a, int64_t a_pitch,
                                  const float *b, int64_t b_pitch, int64_t rank, float scale, float *norms, int64_t rows, int64_t cols);

/* y[rows, cols] = z * magnitude / norms + bias[cols] + residual; a null bias or residual is 0, a null magnitude (then norms is null
 * too) makes the factor 1; it is 0 where norms is. bias_dtype is dtype, or BF16 where dtype is F32. y may be z or residual. */
GRAFT_API int32_t graft_rescale_forward(void *stream, int32_t dtype, const void *z, int64_t z_pitch, const float *magnitude,
                                        const float *norms, const void *bias, int32_t bias_dtype, const void *residual,
                                        int64_t residual_pitch, void *y, int64_t y_pitch, int64_t rows, int64_t cols);

/* dz = dy * magnitude / norms; magnitude_gradient F32 [cols] += sum over rows of dy * z / norms; 0 where norms is. z_dtype is dtype, or
 * F32 where dtype is BF16. dz may be dy, and z where that has the same dtype. */
GRAFT_API int32_t graft_rescale_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, int32_t z_dtype, const void *z,
                                         int64_t z_pitch, const float *magnitude, const float *norms, void *dz, int64_t dz_pitch,
                                         float *magnitude_gradient, int64_t rows, int64_t cols, void *scratch, int64_t scratch_bytes);

/* y (= or, with accumulate, +=) dropout(x), or with complement x - dropout(x); seed, step, dropout_stream, threshold and scale as in
 * graft_lora_term, rows counted from x's first. y may be x without accumulate. */
GRAFT_API int32_t graft_dropout(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t seed, int32_t step,
                                int32_t dropout_stream, int32_t threshold, float scale, int32_t complement, int32_t accumulate, void *y,
                                int64_t y_pitch, int64_t rows, int64_t cols);

/* ---- RMSNorm (rms_norm.cu) */

/* rstd = 1 / sqrt(mean(x^2) + epsilon) = [rows] F32; y = x * rstd * weight = [rows, cols]. weight [cols]. */
GRAFT_API int32_t graft_rms_norm_forward(void *stream, int32_t dtype, const void *x, int64_t x_pitch, const void *weight, float epsilon,
                                         void *y, int64_t y_pitch, float *rstd, int64_t rows, int64_t cols);

/* With g = dy * weight: dx (= or, with accumulate, +=) rstd * (g - x * rstd^2 * mean(g * x)); weight_gradient [cols] F32 += sum over
 * rows of dy * x * rstd, unless null. Without accumulate, dx may be dy. */
GRAFT_API int32_t graft_rms_norm_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, const void *x, int64_t x_pitch,
                                          const void *weight, const float *rstd, void *dx, int64_t dx_pitch, int32_t accumulate,
                                          float *weight_gradient, int64_t rows, int64_t cols, void *scratch, int64_t scratch_bytes);

/* ---- rotary embedding (rope.cu) */

/* In place, per head h < heads of x [rows, heads * head_dim], pairs (i, i + D/2): x1 = x1 cos - x2 sin, x2 = x2 cos + x1 sin.
 * cos_sin F32 [positions, D], cos_sin_pitch apart: D/2 cosines, then D/2 sines. positions int32 [rows]. inverse: sin negated. */
GRAFT_API int32_t graft_rope(void *stream, int32_t dtype, void *x, int64_t x_pitch, const float *cos_sin, int64_t cos_sin_pitch,
                             const int32_t *positions, int32_t inverse, int64_t rows, int32_t heads, int32_t head_dim);

/* ---- attention (attention_forward.cu, attention_backward.cu) */

enum { GRAFT_MMA = 0, GRAFT_WGMMA = 1 };

/* Causal grouped-query attention over packed sequences: query head h reads key/value head h / (heads / key_value_heads). */
typedef struct graft_attention {
    int32_t heads;            /* H */
    int32_t key_value_heads;  /* Hkv, divides H */
    int32_t head_dim;         /* D, 1 to 256 */
    int32_t window;           /* a query sees at most this many keys, itself included; 0: no limit */
    float scale;              /* multiplies q.k */
    int32_t sequence_count;
    int32_t longest_query;    /* the largest query_length */
    int32_t longest_key;      /* the largest key_length */
    int32_t tensor_cores;     /* GRAFT_MMA, or GRAFT_WGMMA where dtype, head_dim and alignment allow it, on compute capability 9.0 alone */
    /* int32 [4, sequence_count] in device memory: query_start, query_length, key_start, key_length. Query i of a sequence stands at
     * position key_length - query_length + i among its keys and sees itself and what comes before. */
    const int32_t *sequences;
} graft_attention;

/* o [M, H D] = softmax(scale q kT + mask) v, and log_sum_exp F32 [M, H] (log_sum_exp_pitch apart) = ln sum exp(scores).
 * q [M, H D]; k, v [rows, Hkv D]. `attention` is read before the call returns. Rows of no sequence are neither read nor written. */
GRAFT_API int32_t graft_attention_forward(void *stream, int32_t dtype, const graft_attention *attention, const void *q, int64_t q_pitch,
                                          const void *k, int64_t k_pitch, const void *v, int64_t v_pitch, void *o, int64_t o_pitch,
                                          float *log_sum_exp, int64_t log_sum_exp_pitch);

/* dq, dk, dv = gradients, probabilities computed again from log_sum_exp. d_o, like o, is [M, H D]. Rows of dq, dk and dv that belong
 * to no sequence are not written. query_rows: M. scratch: at least 4 M H bytes (for sum over D of dO * O). */
GRAFT_API int32_t graft_attention_backward(void *stream, int32_t dtype, const graft_attention *attention, const void *q, int64_t q_pitch,
                                           const void *k, int64_t k_pitch, const void *v, int64_t v_pitch, const void *o, int64_t o_pitch,
                                           const float *log_sum_exp, int64_t log_sum_exp_pitch, const void *d_o, int64_t d_o_pitch,
                                           void *dq, int64_t dq_pitch, void *dk, int64_t dk_pitch, void *dv, int64_t dv_pitch,
                                           int64_t query_rows, void *scratch, int64_t scratch_bytes);

/* ---- SwiGLU (swiglu.cu) */

/* y = silu(gate) * up, silu(g) = g / (1 + e^-g). */
GRAFT_API int32_t graft_swiglu_forward(void *stream, int32_t dtype, const void *gate, int64_t gate_pitch, const void *up, int64_t up_pitch,
                                       void *y, int64_t y_pitch, int64_t rows, int64_t cols);

/* d_gate = dy * up * s(gate) (1 + gate (1 - s(gate))), d_up = dy * silu(gate). d_gate may be gate, d_up may be up. */
GRAFT_API int32_t graft_swiglu_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, const void *gate,
                                        int64_t gate_pitch, const void *up, int64_t up_pitch, void *d_gate, int64_t d_gate_pitch,
                                        void *d_up, int64_t d_up_pitch, int64_t rows, int64_t cols);

/* ---- elementwise (gelu.cu, add.cu) */

/* y = x P(x), P(x) = (1 + erf(x / sqrt(2))) / 2. */
GRAFT_API int32_t graft_gelu_forward(void *stream, int32_t dtype, const void *x, int64_t x_pitch, void *y, int64_t y_pitch, int64_t rows,
                                     int64_t cols);

/* dx = dy (P(x) + x p(x)), p(x) = e^(-x^2 / 2) / sqrt(2 pi). dx may be x. */
GRAFT_API int32_t graft_gelu_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, const void *x, int64_t x_pitch,
                                      void *dx, int64_t dx_pitch, int64_t rows, int64_t cols);

/* y = a + b, rounded once; b of `dtype` or F32. y may be a, or b where it is of `dtype`. */
GRAFT_API int32_t graft_add(void *stream, int32_t dtype, const void *a, int64_t a_pitch, int32_t b_dtype, const void *b, int64_t b_pitch,
                            void *y, int64_t y_pitch, int64_t rows, int64_t cols);

/* ---- loss (cross_entropy.cu) */

/* losses[rows] = ln sum exp(logits) - logits[target]; d_logits = gradient_scale * (softmax(logits) - onehot(target)), unless null.
 * logits F32 [rows, vocabulary]; d_logits of d_logits_dtype, may be logits itself. targets int32 [rows], checked by the caller. */
GRAFT_API int32_t graft_cross_entropy(void *stream, const float *logits, int64_t logits_pitch, const int32_t *targets,
                                      float gradient_scale, float *losses, int32_t d_logits_dtype, void *d_logits, int64_t d_logits_pitch,
                                      int64_t rows, int64_t vocabulary);

/* ---- optimizer (optimizer.cu), on flat F32 arrays */

/* *result = sum of x^2 over n numbers, in a fixed order. */
GRAFT_API int32_t graft_sum_of_squares(void *stream, const float *x, int64_t n, float *result, void *scratch, int64_t scratch_bytes);

/* One step's numbers; see torch.optim.AdamW. Computed on the host in float64. */
typedef struct graft_adam_w {
    float decay;             /* 1 - lr * lambda */
    float beta1, beta2;
    float one_minus_beta1, one_minus_beta2;
    float step_size;         /* lr / (1 - beta1^t) */
    float correction2;       /* 1 / sqrt(1 - beta2^t) */
    float epsilon;
    float clip_norm;         /* g *= min(1, clip_norm / (sqrt(*sum_of_squares) + 1e-6)); 0: no clipping */
} graft_adam_w;

/* p = p * decay; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= step_size * m / (sqrt(v) * correction2 + epsilon).
 * Nothing is changed where *sum_of_squares is not finite. `parameters` is read before the call returns. */
GRAFT_API int32_t graft_adam_w_step(void *stream, const graft_adam_w *parameters, float *values, const float *gradients, float *moment1,
                                    float *moment2, const float *sum_of_squares, int64_t n);

/* ---- low-rank adapters (lora_shrink.cu, lora_gradient.cu, lora_expand.cu) */

#define GRAFT_MAX_TERMS 32

/* One adapter's part of a linear layer: rows [from_row, to_row) of x [M, K] and y [M, N]; A [r, K], B [N, r] of the call's dtype.
 * Terms of one call may share rows (q, k and v of one adapter: the same x) or not (several adapters). */
typedef struct graft_lora_term {
    const void *a;
    const void *b;
    void *hidden;             /* h = s dropout(x) A^T  [to_row - from_row, r], hidden_pitch apart */
    void *hidden_gradient;    /* u = s dy B, likewise */
    void *border;             /* a second copy of what a shrink writes: row 0 of the whole matrix (not from_row), or null */
    float *a_gradient;        /* dA [r, K] F32 */
    float *b_gradient;        /* dB [N, r] F32 */
    int64_t a_pitch, b_pitch, hidden_pitch, hidden_gradient_pitch, border_pitch, a_gradient_pitch, b_gradient_pitch;
    int64_t from_row, to_row;
    /* dropout(x)[m, k] = x[m, k] / (1 - p) where Philox(seed)(e / 4, step, stream, 4)[e % 4] >> 8 >= dropout_threshold, else 0, for
     * element e = m K + k with m counted from row 0; see dev.graft.engine.Dropout. */
    int64_t dropout_seed;
    int32_t dropout_step, dropout_stream;
    int32_t dropout_threshold; /* ceil(p 2^24); 0: no dropout */
    float dropout_scale;       /* 1 / (1 - p) */
    float scale;               /* s */
    int32_t rank;              /* r, 1 or more */
} graft_lora_term;

/* For each term: hidden = s * dropout(x[from:to]) A^T, and its copy in the border. count <= GRAFT_MAX_TERMS; all terms read the same x. */
GRAFT_API int32_t graft_lora_shrink_input(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t inner,
                                          const graft_lora_term *terms, int32_t count, void *scratch, int64_t scratch_bytes);

/* For each term, in one pass over dy [M, N] (all terms read the same dy): hidden_gradient = s * dy[from:to] B, and its copy in the
 * border; dB += dy[from:to]^T hidden. */
GRAFT_API int32_t graft_lora_shrink_gradient(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, int64_t inner,
                                             const graft_lora_term *terms, int32_t count, void *scratch, int64_t scratch_bytes);

/* For each term, in one pass over x [M, K]: dA += hidden_gradient^T dropout(x[from:to]). */
GRAFT_API int32_t graft_lora_input_factor_gradient(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t inner,
                                                   const graft_lora_term *terms, int32_t count, void *scratch, int64_t scratch_bytes);

/* For each term, one after another: y[from:to] += hidden B^T; y [M, outer] of y_dtype (F32 for logits). */
GRAFT_API int32_t graft_lora_expand_output(void *stream, int32_t dtype, int32_t y_dtype, void *y, int64_t y_pitch, int64_t outer,
                                           const graft_lora_term *terms, int32_t count);

/* For each term, one after another: dx[from:to] += mask * (hidden_gradient A) / (1 - p), the mask being that of dropout(x). */
GRAFT_API int32_t graft_lora_expand_gradient(void *stream, int32_t dtype, void *dx, int64_t dx_pitch, int64_t inner,
                                             const graft_lora_term *terms, int32_t count);

#ifdef __cplusplus
}
#endif

#endif
