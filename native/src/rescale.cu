/*
 * What DoRA does around a linear layer; z, y, dy, dz [rows, cols], m, n, dm F32 [cols].
 *
 *   row norms  n[i] = sqrt(sum over k of (W[i, k] + s sum over j of B[i, j] A[j, k])^2)      W [rows, cols], A [r, cols], B [rows, r]
 *   forward    y = z m / n [+ bias] [+ residual]
 *   backward   dz = dy m / n,  dm += sum over rows of dy z / n
 *
 * Where n is 0, m / n and 1 / n count as 0.
 *
 * Row norms: a block takes four rows of W, so that each run of A is loaded once for all four; a thread takes runs of eight columns
 * and sums their products with A in registers, as W0 + s B A is nowhere stored. 2 r operations a weight: A comes from cache.
 * The others are bound by memory, a run of eight columns a thread; dm is a pass of its own before dz, which may lie where z does
 * (column_sums.cuh).
 */
#include "column_sums.cuh"
#include "reduce.cuh"

namespace graft {

namespace {

constexpr int NORM_ROWS = 4;
constexpr int NORM_THREADS = 128;

template <class T>
__global__ void row_norms_kernel(const T *weight, int64_t weight_pitch, const float *a, int64_t a_pitch, const float *b, int64_t b_pitch,
                                 int64_t rank, float scale, float *norms, int64_t rows, int64_t cols, bool whole) {
    float *shared = shared_memory<float>();
    const int64_t first = static_cast<int64_t>(blockIdx.x) * NORM_ROWS;
    float squares[NORM_ROWS] = {};
    for (int64_t col = static_cast<int64_t>(threadIdx.x) * RUN; col < cols; col += NORM_THREADS * RUN) {
        float delta[NORM_ROWS][RUN] = {};
        for (int64_t j = 0; j < rank; j++) {
            float factor[RUN];
            load_run(factor, a + j * a_pitch + col, cols - col, whole);
            for (int row = 0; row < NORM_ROWS; row++) {
                const float own = first + row < rows ? b[(first + row) * b_pitch + j] : 0;
                for (int i = 0; i < RUN; i++) {
                    delta[row][i] += own * factor[i];
                }
            }
        }
        for (int row = 0; row < NORM_ROWS; row++) {
            if (first + row < rows) {
                float value[RUN];
                load_run(value, weight + (first + row) * weight_pitch + col, cols - col, whole);
                for (int i = 0; i < RUN; i++) {
                    const float sum = value[i] + scale * delta[row][i];
                    squares[row] += sum * sum;
                }
            }
        }
    }
    for (int row = 0; row < NORM_ROWS; row++) {
        const float total = block_sum(squares[row], shared);
        if (threadIdx.x == 0 && first + row < rows) {
            norms[first + row] = sqrtf(total);
        }
    }
}

template <class T>
int32_t row_norms(void *stream, const void *weight, int64_t weight_pitch, const float *a, int64_t a_pitch, const float *b, int64_t b_pitch,
                  int64_t rank, float scale, float *norms, int64_t rows, int64_t cols) {
    const bool whole = has_whole_runs<T>(weight, weight_pitch, cols) && has_whole_runs<float>(a, a_pitch, cols);
    return launch("row_norms", row_norms_kernel<T>, dim3(static_cast<unsigned>(ceil_div<int64_t>(rows, NORM_ROWS))), dim3(NORM_THREADS),
                  NORM_THREADS / WARP * sizeof(float), stream, static_cast<const T *>(weight), weight_pitch, a, a_pitch, b, b_pitch, rank,
                  scale, norms, rows, cols, whole);
}

__device__ __forceinline__ float ratio(float dividend, float divisor) {
    return divisor == 0 ? 0 : dividend / divisor;
}

/* value *= m / n, for a run of columns; as it is without m. */
__device__ __forceinline__ void rescale_run(float (&value)[RUN], const float *magnitude, const float *norms, int64_t col, int64_t left,
                                            bool whole) {
    if (magnitude == nullptr) {
        return;
    }
    float m[RUN];
    float n[RUN];
    load_run(m, magnitude + col, left, whole);
    load_run(n, norms + col, left, whole);
    for (int i = 0; i < RUN; i++) {
        value[i] *= ratio(m[i], n[i]);
    }
}

template <class T>
__device__ __forceinline__ void add_run(float (&value)[RUN], const T *address, int64_t left, bool whole) {
    float term[RUN];
    load_run(term, address, left, whole);
    for (int i = 0; i < RUN; i++) {
        value[i] += term[i];
    }
}

/* No __restrict__: y may be z or residual. A thread reads its elements before it writes them. */
template <class T, class B>
__global__ void rescale_forward_kernel(RunGrid grid, const T *z, int64_t z_pitch, const float *magnitude, const float *norms,
                                       const B *bias, const T *residual, int64_t residual_pitch, T *y, int64_t y_pitch, bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        const int64_t left = grid.cols - col;
        float value[RUN];
        load_run(value, z + row * z_pitch + col, left, whole);
        rescale_run(value, magnitude, norms, col, left, whole);
        if (bias != nullptr) {
            add_run(value, bias + col, left, whole);
        }
        if (residual != nullptr) {
            add_run(value, residual + row * residual_pitch + col, left, whole);
        }
        store_run(value, y + row * y_pitch + col, left, whole);
    }
}

template <class T, class B>
int32_t forward(void *stream, const void *z, int64_t z_pitch, const float *magnitude, const float *norms, const void *bias,
                const void *residual, int64_t residual_pitch, void *y, int64_t y_pitch, int64_t rows, int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole = has_whole_runs<T>(z, z_pitch, cols) && has_whole_runs<T>(y, y_pitch, cols) &&
                       has_whole_runs<float>(magnitude, RUN, cols) && has_whole_runs<float>(norms, RUN, cols) &&
                       has_whole_runs<B>(bias, RUN, cols) && (residual == nullptr || has_whole_runs<T>(residual, residual_pitch, cols));
    return launch("rescale_forward", rescale_forward_kernel<T, B>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid,
                  static_cast<const T *>(z), z_pitch, magnitude, norms, static_cast<const B *>(bias), static_cast<const T *>(residual),
                  residual_pitch, static_cast<T *>(y), y_pitch, whole);
}

/* dy z / n, of which dm is the sum over rows. */
template <class T, class Z>
struct MagnitudeGradient {
    const T *dy;
    int64_t dy_pitch;
    const Z *z;
    int64_t z_pitch;
    const float *norms;
    bool whole;

    __device__ __forceinline__ void load(float (&value)[RUN], int64_t row, int64_t col, int64_t left) const {
        float other[RUN];
        float n[RUN];
        load_run(value, dy + row * dy_pitch + col, left, whole);
        load_run(other, z + row * z_pitch + col, left, whole);
        load_run(n, norms + col, left, whole);
        for (int i = 0; i < RUN; i++) {
            value[i] = ratio(value[i] * other[i], n[i]);
        }
    }
};

template <class T, class Z>
int32_t backward(void *stream, const void *dy, int64_t dy_pitch, const void *z, int64_t z_pitch, const float *magnitude,
                 const float *norms, void *dz, int64_t dz_pitch, float *magnitude_gradient, int64_t rows, int64_t cols, void *scratch,
                 int64_t scratch_bytes) {
    const bool whole =
        has_whole_runs<T>(dy, dy_pitch, cols) && has_whole_runs<Z>(z, z_pitch, cols) && has_whole_runs<float>(norms, RUN, cols);
    const MagnitudeGradient<T, Z> source{static_cast<const T *>(dy), dy_pitch, static_cast<const Z *>(z), z_pitch, norms, whole};
    const int32_t status =
        add_column_sums("rescale_backward", stream, source, rows, cols, magnitude_gradient, scratch, scratch_bytes);
    if (status != GRAFT_OK) {
        return status;
    }
    return forward<T, T>(stream, dy, dy_pitch, magnitude, norms, nullptr, nullptr, 0, dz, dz_pitch, rows, cols);
}

} // namespace

} // namespace graft

int32_t graft_row_norms(void *stream, int32_t dtype, const void *weight, int64_t weight_pitch, const float *a, int64_t a_pitch,
                        const float *b, int64_t b_pitch, int64_t rank, float scale, float *norms, int64_t rows, int64_t cols) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return row_norms<float>(stream, weight, weight_pitch, a, a_pitch, b, b_pitch, rank, scale, norms, rows, cols);
    case GRAFT_BF16:
        return row_norms<bf16>(stream, weight, weight_pitch, a, a_pitch, b, b_pitch, rank, scale, norms, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "row_norms", "the dtype is neither F32 nor BF16");
    }
}

int32_t graft_rescale_forward(void *stream, int32_t dtype, const void *z, int64_t z_pitch, const float *magnitude, const float *norms,
                              const void *bias, int32_t bias_dtype, const void *residual, int64_t residual_pitch, void *y,
                              int64_t y_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    if (dtype == GRAFT_F32 && bias_dtype == GRAFT_F32) {
        return forward<float, float>(stream, z, z_pitch, magnitude, norms, bias, residual, residual_pitch, y, y_pitch, rows, cols);
    }
    if (dtype == GRAFT_F32 && bias_dtype == GRAFT_BF16) {
        return forward<float, bf16>(stream, z, z_pitch, magnitude, norms, bias, residual, residual_pitch, y, y_pitch, rows, cols);
    }
    if (dtype == GRAFT_BF16 && bias_dtype == GRAFT_BF16) {
        return forward<bf16, bf16>(stream, z, z_pitch, magnitude, norms, bias, residual, residual_pitch, y, y_pitch, rows, cols);
    }
    return fail(GRAFT_INVALID_ARGUMENT, "rescale_forward", "z and bias must be F32 and F32, F32 and BF16, or BF16 and BF16");
}

int32_t graft_rescale_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, int32_t z_dtype, const void *z,
                               int64_t z_pitch, const float *magnitude, const float *norms, void *dz, int64_t dz_pitch,
                               float *magnitude_gradient, int64_t rows, int64_t cols, void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    if (dtype == GRAFT_F32 && z_dtype == GRAFT_F32) {
        return backward<float, float>(stream, dy, dy_pitch, z, z_pitch, magnitude, norms, dz, dz_pitch, magnitude_gradient, rows, cols,
                                      scratch, scratch_bytes);
    }
    if (dtype == GRAFT_BF16 && z_dtype == GRAFT_F32) {
        return backward<bf16, float>(stream, dy, dy_pitch, z, z_pitch, magnitude, norms, dz, dz_pitch, magnitude_gradient, rows, cols,
                                     scratch, scratch_bytes);
    }
    if (dtype == GRAFT_BF16 && z_dtype == GRAFT_BF16) {
        return backward<bf16, bf16>(stream, dy, dy_pitch, z, z_pitch, magnitude, norms, dz, dz_pitch, magnitude_gradient, rows, cols,
                                    scratch, scratch_bytes);
    }
    return fail(GRAFT_INVALID_ARGUMENT, "rescale_backward", "dy and z must be F32 and F32, BF16 and F32, or BF16 and BF16");
}
