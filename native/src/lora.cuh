/*
 * What the kernels of low-rank adapters share. For a term on rows [from, to) of x [M, K] and y [M, N], rank r:
 *
 *   h = s dropout(x) A^T    shrink, forward          lora_shrink.cu
 *   u = s dy B              shrink, backward         lora_shrink.cu, or together with dB: lora_shrink_gradient.cu
 *   dB += dy^T h            factor gradient          the same, or lora_gradient.cu
 *   dA += u^T dropout(x)    factor gradient          lora_gradient.cu
 *   y += h B^T, dx += mask * (u A) / (1 - p)         lora_expand.cu
 *
 * bf16 goes through the tensor cores, float32 through one plain kernel (lora_f32.cu).
 *
 * Slices: tensor cores work on 8 ranks at a time, so terms are cut into slices of 8 ranks (the last of a term perhaps fewer, padded
 * with zeros), and the slices of all terms that read the same rows under the same mask are stacked side by side: x is read once for
 * q, k and v. (With dropout each has a mask of its own and reads x for itself: drawing the mask takes as long as reading x does.)
 * A launch takes as many slices as its kernel has accumulators for; more ranks take several launches.
 *
 * Parts: where a product has few blocks, its reduction is split into parts that leave float32 sums [slice][part][index][8] in scratch,
 * which a second kernel adds in order. The number of parts depends on shapes, the GPU and the scratch's size only.
 *
 * Dropout only clears elements of x; its factor 1 / (1 - p) is part of the scale that a result is multiplied by at the end.
 */
#pragma once

#include "philox.cuh"
#include "runs.cuh"

namespace graft {

/* ---- terms, slices, groups */

/* Eight ranks of a term, or what is left of them. */
struct TermSlice {
    const graft_lora_term *term;
    int first_rank;

    int ranks() const {
        return std::min(term->rank - first_rank, RUN);
    }
};

inline bool share_input(const graft_lora_term &a, const graft_lora_term &b) {
    return a.from_row == b.from_row && a.to_row == b.to_row && Dropout(a) == Dropout(b);
}

/* Calls launch(slices, count) for every run of at most Most slices of terms that read the same rows under the same mask, until one
 * fails. Terms without rows have no part in it. */
template <int Most, class Launch>
int32_t for_groups(const graft_lora_term *terms, int32_t count, Launch launch) {
    bool done[GRAFT_MAX_TERMS] = {};
    for (int32_t first = 0; first < count; first++) {
        if (done[first] || terms[first].from_row == terms[first].to_row) {
            continue;
        }
        TermSlice slices[Most];
        int used = 0;
        for (int32_t other = first; other < count; other++) {
            if (done[other] || !share_input(terms[first], terms[other])) {
                continue;
            }
            done[other] = true;
            for (int rank = 0; rank < terms[other].rank; rank += RUN) {
                if (used == Most) {
                    const int32_t status = launch(slices, used);
                    if (status != GRAFT_OK) {
                        return status;
                    }
                    used = 0;
                }
                slices[used++] = {&terms[other], rank};
            }
        }
        const int32_t status = launch(slices, used);
        if (status != GRAFT_OK) {
            return status;
        }
    }
    return GRAFT_OK;
}

/* Calls launch(term) for every term that has rows, until one fails. */
template <class Launch>
int32_t for_terms(const graft_lora_term *terms, int32_t count, Launch launch) {
    int32_t status = GRAFT_OK;
    for (int32_t i = 0; i < count && status == GRAFT_OK; i++) {
        if (terms[i].from_row < terms[i].to_row) {
            status = launch(terms[i]);
        }
    }
    return status;
}

/* The failure of a call with terms that make no sense, or GRAFT_OK. */
inline int32_t check_terms(const char *operation, int32_t dtype, const graft_lora_term *terms, int32_t count) {
    if (dtype != GRAFT_F32 && dtype != GRAFT_BF16) {
        return fail(GRAFT_INVALID_ARGUMENT, operation, "the dtype is neither F32 nor BF16");
    }
    if (count < 0 || count > GRAFT_MAX_TERMS) {
        return fail(GRAFT_INVALID_ARGUMENT, operation, "there are at most GRAFT_MAX_TERMS terms");
    }
    for (int32_t i = 0; i < count; i++) {
        if (terms[i].rank < 1 || terms[i].from_row < 0 || terms[i].from_row > terms[i].to_row) {
            return fail(GRAFT_INVALID_ARGUMENT, operation, "a term has a rank below 1 or rows that end before they start");
        }
    }
    return GRAFT_OK;
}

inline float mask_scale(const graft_lora_term &term) {
    return term.dropout_threshold == 0 ? 1 : term.dropout_scale;
}

/* The ranks of a slice in a matrix: A [r, K] from the slice's first row, or one [*, r] from its first column. */
struct RankSlice {
    const bf16 *start;
    int64_t pitch;
    int ranks;
    bool packed; /* whether runs can be read in 16 bytes: along K of A, and the 8 ranks of [*, r] */
};

/* A slice of a factor and of the hidden values that a shrink writes: hidden[row][0 .. ranks) = scale * sum. */
struct ShrinkSlice {
    RankSlice factor;
    bf16 *hidden;
    int64_t hidden_pitch;
    bf16 *border; /* a second copy, or null */
    int64_t border_pitch;
    float scale;
    bool hidden_whole;
    bool border_whole;
};

/* A slice of hidden values and of the gradient they give: gradient[rank * rank_step + index * index_step] += scale * sum. */
struct GradientSlice {
    RankSlice hidden;
    float *gradient;
    int64_t rank_step;
    int64_t index_step;
    float scale;
};

/* The slice of h = s dropout(x) A^T, and of u = s dy B. */
ShrinkSlice input_shrink(const TermSlice &slice, int64_t inner);
ShrinkSlice gradient_shrink(const TermSlice &slice);

/* The slice of dA += u^T dropout(x), and of dB += dy^T h. */
GradientSlice input_factor(const TermSlice &slice);
GradientSlice output_factor(const TermSlice &slice);

/* A bf16 matrix, or rows of one. */
struct Matrix16 {
    const bf16 *start;
    int64_t pitch;
    int64_t rows;
    int64_t cols;
    bool packed; /* is_packed() */

    Matrix16(const void *first_row, int64_t pitch, int64_t from, int64_t to, int64_t cols)
        : start(static_cast<const bf16 *>(first_row) + from * pitch), pitch(pitch), rows(to - from), cols(cols),
          packed(is_packed<bf16>(start, pitch, cols)) {}
};

/* Which elements of a matrix dropout keeps. */
struct Mask {
    Dropout dropout;
    int64_t first; /* the element at row 0, column 0 */
    int64_t cols;  /* elements to a row */

    Mask() = default;

    Mask(const graft_lora_term &term, int64_t cols) : dropout(term), first(term.from_row * cols), cols(cols) {}

    __host__ __device__ bool drops() const {
        return dropout.threshold != 0;
    }

    __device__ __forceinline__ uint32_t kept(int64_t row, int64_t col) const {
        return kept_of_8(dropout, first + row * cols + col);
    }
};

struct Scratch {
    void *start;
    int64_t bytes;
};

constexpr int64_t PART_BYTES = RUN * sizeof(float); /* of one slice, part and index */

/* What the entry points choose between: bf16 on the tensor cores. */
int32_t shrink(const char *operation, void *stream, const Matrix16 &x, const Mask &mask, bool rank_contiguous, const ShrinkSlice *slices,
               int count, Scratch scratch);
int32_t factor_gradient(const char *operation, void *stream, const Matrix16 &x, const Mask &mask, const GradientSlice *slices, int count,
                        Scratch scratch);

/* hidden and gradient from the sums of `parts` parts, [count][parts][indices][8] at `sums`. */
int32_t finish_shrink(const char *operation, void *stream, const ShrinkSlice *slices, int count, const float *sums, int64_t parts,
                      int64_t indices);
int32_t finish_gradient(const char *operation, void *stream, const GradientSlice *slices, int count, const float *sums, int64_t parts,
                        int64_t indices);

constexpr int SHRINK_SLICES = 16;
constexpr int GRADIENT_SLICES = 8;

/* And float32 (lora_f32.cu). */
int32_t shrink_input_f32(void *stream, const float *x, int64_t x_pitch, int64_t inner, const graft_lora_term &term);
int32_t shrink_gradient_f32(void *stream, const float *dy, int64_t dy_pitch, int64_t inner, const graft_lora_term &term);
int32_t input_factor_gradient_f32(void *stream, const float *x, int64_t x_pitch, int64_t inner, const graft_lora_term &term);
int32_t expand_output_f32(void *stream, float *y, int64_t y_pitch, int64_t outer, const graft_lora_term &term);
int32_t expand_gradient_f32(void *stream, float *dx, int64_t dx_pitch, int64_t inner, const graft_lora_term &term);

/* ---- tiles in shared memory
 *
 * Rows of a tile lie 8 elements (16 bytes) further apart than they are long, an odd number of 16-byte units: the eight rows that
 * ldmatrix reads at once lie in different banks. */

constexpr int PAD = 8;

/* Eight elements of a row to shared memory, zeros from `left` on; asynchronous where the matrix is packed. */
__device__ __forceinline__ void copy_run(bf16 *shared, const bf16 *source, int64_t left, bool packed) {
    if (packed) {
        cp_async16(shared, source, left > 0);
    } else {
        Words words;
        for (int i = 0; i < 4; i++) {
            const uint32_t low = 2 * i < left ? source[2 * i].bits : 0;
            const uint32_t high = 2 * i + 1 < left ? source[2 * i + 1].bits : 0;
            words.word[i] = low | high << 16;
        }
        store16(shared, words);
    }
}

/* Rows x Cols elements of x from (row, col) on, zeros outside it and from `row_end` on. */
template <int Rows, int Cols, int Threads>
__device__ __forceinline__ void copy_tile(bf16 *tile, const Matrix16 &x, int64_t row, int64_t row_end, int64_t col) {
    constexpr int runs = Cols / RUN;
    for (int i = threadIdx.x; i < Rows * runs; i += Threads) {
        const int r = i / runs;
        const int c = i % runs * RUN;
        const int64_t left = row + r < row_end ? x.cols - (col + c) : 0;
        copy_run(tile + r * (Cols + PAD) + c, x.start + (row + r) * x.pitch + col + c, left, x.packed);
    }
}

/* Rows x (8 slices) elements: the ranks of each slice, of matrices [*, r] from `row` on, zeros from `row_end` on. The slices are made
 * up to an even number with zeros. */
template <int Rows, int Threads, class Slice>
__device__ __forceinline__ void copy_rank_tile(bf16 *tile, const Slice *slices, RankSlice Slice::*member, int count, int64_t row,
                                               int64_t row_end) {
    const int even = count + (count & 1);
    for (int i = threadIdx.x; i < Rows * even; i += Threads) {
        const int r = i % Rows;
        const int s = i / Rows;
        const RankSlice &slice = slices[s < count ? s : 0].*member;
        const int left = s < count && row + r < row_end ? slice.ranks : 0;
        copy_run(tile + r * (even * RUN + PAD) + s * RUN, slice.start + (row + r) * slice.pitch, left, slice.packed);
    }
}

/* Clears what dropout drops of a tile that copy_tile has filled. */
template <int Rows, int Cols, int Threads>
__device__ __forceinline__ void mask_tile(bf16 *tile, const Mask &mask, int64_t row, int64_t col) {
    constexpr int runs = Cols / RUN;
    for (int i = threadIdx.x; i < Rows * runs; i += Threads) {
        const int r = i / runs;
        const int c = i % runs * RUN;
        bf16 *run = tile + r * (Cols + PAD) + c;
        const uint32_t kept = mask.kept(row + r, col + c);
        Words words = load16(run);
        for (int j = 0; j < 4; j++) {
            words.word[j] &= ((kept >> (2 * j) & 1) * 0x0000ffffu) | ((kept >> (2 * j + 1) & 1) * 0xffff0000u);
        }
        store16(run, words);
    }
}

/* ---- fragments; see mma_bf16 for their layout. A tile's element (0, 0) of what is read is at `corner`, its rows `pitch` apart */

/* a[16 m, 16 k] of a tile [m][k], and of a tile [k][m]. */
__device__ __forceinline__ void load_a(uint32_t (&a)[4], const bf16 *corner, int pitch) {
    const int lane = threadIdx.x % WARP;
    ldmatrix_x4(a, corner + lane % 16 * pitch + lane / 16 * 8);
}
__device__ __forceinline__ void load_a_transposed(uint32_t (&a)[4], const bf16 *corner, int pitch) {
    const int lane = threadIdx.x % WARP;
    ldmatrix_x4_transposed(a, corner + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8);
}

/* b[16 k, 8 n] twice, n from 0 and from 8, of a tile [n][k], and of a tile [k][n]. */
__device__ __forceinline__ void load_b(uint32_t (&first)[2], uint32_t (&second)[2], const bf16 *corner, int pitch) {
    const int lane = threadIdx.x % WARP;
    uint32_t both[4];
    ldmatrix_x4(both, corner + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8);
    first[0] = both[0];
    first[1] = both[1];
    second[0] = both[2];
    second[1] = both[3];
}
__device__ __forceinline__ void load_b_transposed(uint32_t (&first)[2], uint32_t (&second)[2], const bf16 *corner, int pitch) {
    const int lane = threadIdx.x % WARP;
    uint32_t both[4];
    ldmatrix_x4_transposed(both, corner + lane % 16 * pitch + lane / 16 * 8);
    first[0] = both[0];
    first[1] = both[1];
    second[0] = both[2];
    second[1] = both[3];
}

/* sum[i] += a[i] times 16 rows of a tile of ranks [k][8 slices], for pairs of slices. */
template <int Tiles, int Slices>
__device__ __forceinline__ void multiply_slices(float (&sum)[Tiles][Slices][4], const uint32_t (&a)[Tiles][4], const bf16 *ranks, int pitch,
                                                int count) {
#pragma unroll
    for (int s = 0; s < Slices; s += 2) {
        if (s < count) {
            uint32_t b0[2];
            uint32_t b1[2];
            load_b_transposed(b0, b1, ranks + s * RUN, pitch);
#pragma unroll
            for (int i = 0; i < Tiles; i++) {
                mma_bf16(sum[i][s], a[i], b0);
                mma_bf16(sum[i][s + 1], a[i], b1);
            }
        }
    }
}

/* Two neighbouring sums of a part. */
__device__ __forceinline__ void store_pair(float *address, float first, float second) {
    *reinterpret_cast<float2 *>(address) = make_float2(first, second);
}

} // namespace graft
