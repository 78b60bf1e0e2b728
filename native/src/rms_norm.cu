/*
 * Root-mean-square normalisation by rows; x, y [rows, cols], w [cols], rstd F32 [rows].
 *
 *   forward    rstd = 1 / sqrt(mean(x^2) + epsilon),  y = x * rstd * w
 *   backward   g = dy * w,  dx (= or +=) rstd * (g - x * rstd^2 * mean(g * x)),  dw += sum over rows of dy * x * rstd
 *
 * Bound by memory: a row is read once and kept in shared memory, each thread its own runs, while its sum is taken; rows too long for
 * that (beyond 48 KiB) are read again. Rows of up to 512 columns (the norms of attention heads) get a warp each, longer ones a block
 * of one thread to 16 columns. dw, which adapters do not train, is a pass of its own (column_sums.cuh).
 */
#include "column_sums.cuh"
#include "reduce.cuh"

namespace graft {

namespace {

/* How rows are laid out on threads; the same in every block. */
struct RowShape {
    int64_t rows;
    int64_t cols;
    int lanes;          /* threads to a row: a warp, or the whole block */
    int rows_per_block; /* 1 where a row has the block */
    bool whole;         /* has_whole_runs() of every matrix */
    bool kept;          /* whether rows are kept in shared memory */

    __host__ __device__ int64_t kept_elements() const {
        return kept ? ceil_div<int64_t>(cols, RUN) * RUN : 0;
    }

    __device__ __forceinline__ int64_t row() const {
        return static_cast<int64_t>(blockIdx.x) * rows_per_block + threadIdx.x / lanes;
    }

    __device__ __forceinline__ int64_t first_col() const {
        return threadIdx.x % lanes * RUN;
    }

    /* The sum over the threads of a row. */
    __device__ __forceinline__ float sum(float value, float *shared) const {
        return rows_per_block == 1 ? block_sum(value, shared) : warp_sum(value);
    }
};

constexpr int MAX_WARPS = 16;
constexpr int64_t SHARED_BYTES = 48 * 1024 - MAX_WARPS * static_cast<int64_t>(sizeof(float));

template <class T>
RowShape row_shape(int64_t rows, int64_t cols, int kept_rows, bool whole) {
    const bool narrow = cols <= 512;
    const int64_t warps = std::min<int64_t>(std::max<int64_t>(ceil_div<int64_t>(cols, 16 * WARP), 2), MAX_WARPS);
    RowShape shape{rows, cols, narrow ? WARP : static_cast<int>(warps) * WARP, narrow ? 4 : 1, whole, true};
    shape.kept = shape.rows_per_block * kept_rows * shape.kept_elements() * static_cast<int64_t>(sizeof(T)) <= SHARED_BYTES;
    return shape;
}

template <class T>
size_t shared_bytes(const RowShape &shape, int kept_rows) {
    return MAX_WARPS * sizeof(float) + static_cast<size_t>(shape.rows_per_block * kept_rows * shape.kept_elements()) * sizeof(T);
}

template <class... Parameters, class... Arguments>
int32_t launch_rows(const char *operation, void (*kernel)(RowShape, Parameters...), const RowShape &shape, size_t bytes, void *stream,
                    Arguments... arguments) {
    const int64_t blocks = shape.cols == 0 ? 0 : ceil_div<int64_t>(shape.rows, shape.rows_per_block);
    return launch(operation, kernel, dim3(static_cast<unsigned>(blocks)), dim3(shape.lanes * shape.rows_per_block), bytes, stream, shape,
                  arguments...);
}

template <class T>
__global__ void rms_norm_forward_kernel(RowShape shape, const T *x, int64_t x_pitch, const T *weight, float epsilon, T *y, int64_t y_pitch,
                               float *rstd) {
    float *sums = shared_memory<float>();
    T *kept = reinterpret_cast<T *>(sums + MAX_WARPS) + threadIdx.x / shape.lanes * shape.kept_elements();
    const int64_t row = shape.row();
    const int64_t cols = shape.cols;
    if (row >= shape.rows) {
        return; // a warp of its own; rows that have the block fill the grid exactly
    }
    x += row * x_pitch;
    y += row * y_pitch;

    float squares = 0;
    for (int64_t col = shape.first_col(); col < cols; col += shape.lanes * RUN) {
        float value[RUN];
        load_run(value, x + col, cols - col, shape.whole);
        if (shape.kept) {
            store_run(value, kept + col, RUN, true);
        }
        for (int i = 0; i < RUN; i++) {
            squares += value[i] * value[i];
        }
    }
    const float scale = 1 / sqrtf(shape.sum(squares, sums) / static_cast<float>(cols) + epsilon);
    if (threadIdx.x % shape.lanes == 0) {
        rstd[row] = scale;
    }
    for (int64_t col = shape.first_col(); col < cols; col += shape.lanes * RUN) {
        float value[RUN];
        float w[RUN];
        load_run(value, shape.kept ? kept + col : x + col, cols - col, shape.kept || shape.whole);
        load_run(w, weight + col, cols - col, shape.whole);
        for (int i = 0; i < RUN; i++) {
            value[i] = value[i] * scale * w[i];
        }
        store_run(value, y + col, cols - col, shape.whole);
    }
}

/* dx may be dy: a thread reads an element of dy before it writes that of dx, and no other thread reads it. */
template <class T>
__global__ void rms_norm_backward_kernel(RowShape shape, const T *dy, int64_t dy_pitch, const T *x, int64_t x_pitch, const T *weight,
                                const float *rstd, T *dx, int64_t dx_pitch, bool accumulate) {
    float *sums = shared_memory<float>();
    T *kept_dy = reinterpret_cast<T *>(sums + MAX_WARPS) + threadIdx.x / shape.lanes * (2 * shape.kept_elements());
    T *kept_x = kept_dy + shape.kept_elements();
    const int64_t row = shape.row();
    const int64_t cols = shape.cols;
    if (row >= shape.rows) {
        return; // as in rms_norm_forward_kernel
    }
    dy += row * dy_pitch;
    x += row * x_pitch;
    dx += row * dx_pitch;

    float products = 0;
    for (int64_t col = shape.first_col(); col < cols; col += shape.lanes * RUN) {
        float g[RUN];
        float value[RUN];
        float w[RUN];
        load_run(g, dy + col, cols - col, shape.whole);
        load_run(value, x + col, cols - col, shape.whole);
        load_run(w, weight + col, cols - col, shape.whole);
        if (shape.kept) {
            store_run(g, kept_dy + col, RUN, true);
            store_run(value, kept_x + col, RUN, true);
        }
        for (int i = 0; i < RUN; i++) {
            products += g[i] * w[i] * value[i];
        }
    }
    const float scale = rstd[row];
    const float pull = scale * scale * (shape.sum(products, sums) / static_cast<float>(cols));
    for (int64_t col = shape.first_col(); col < cols; col += shape.lanes * RUN) {
        float g[RUN];
        float value[RUN];
        float w[RUN];
        load_run(g, shape.kept ? kept_dy + col : dy + col, cols - col, shape.kept || shape.whole);
        load_run(value, shape.kept ? kept_x + col : x + col, cols - col, shape.kept || shape.whole);
        load_run(w, weight + col, cols - col, shape.whole);
        for (int i = 0; i < RUN; i++) {
            value[i] = scale * (g[i] * w[i] - value[i] * pull);
        }
        if (accumulate) {
            float before[RUN];
            load_run(before, dx + col, cols - col, shape.whole);
            for (int i = 0; i < RUN; i++) {
                value[i] += before[i];
            }
        }
        store_run(value, dx + col, cols - col, shape.whole);
    }
}

/* dy * x * rstd, of which dw is the sum over rows. */
template <class T>
struct WeightGradient {
    const T *dy;
    int64_t dy_pitch;
    const T *x;
    int64_t x_pitch;
    const float *rstd;
    bool whole;

    __device__ __forceinline__ void load(float (&value)[RUN], int64_t row, int64_t col, int64_t left) const {
        float other[RUN];
        load_run(value, dy + row * dy_pitch + col, left, whole);
        load_run(other, x + row * x_pitch + col, left, whole);
        for (int i = 0; i < RUN; i++) {
            value[i] *= other[i] * rstd[row];
        }
    }
};

template <class T>
int32_t forward(void *stream, const T *x, int64_t x_pitch, const T *weight, float epsilon, T *y, int64_t y_pitch, float *rstd,
                int64_t rows, int64_t cols) {
    const bool whole =
        has_whole_runs<T>(x, x_pitch, cols) && has_whole_runs<T>(y, y_pitch, cols) && has_whole_runs<T>(weight, RUN, cols);
    const RowShape shape = row_shape<T>(rows, cols, 1, whole);
    return launch_rows("rms_norm_forward", rms_norm_forward_kernel<T>, shape, shared_bytes<T>(shape, 1), stream, x, x_pitch, weight, epsilon, y,
                       y_pitch, rstd);
}

template <class T>
int32_t backward(void *stream, const T *dy, int64_t dy_pitch, const T *x, int64_t x_pitch, const T *weight, const float *rstd, T *dx,
                 int64_t dx_pitch, bool accumulate, float *weight_gradient, int64_t rows, int64_t cols, void *scratch,
                 int64_t scratch_bytes) {
    const bool whole_input = has_whole_runs<T>(dy, dy_pitch, cols) && has_whole_runs<T>(x, x_pitch, cols);
    if (weight_gradient != nullptr) { // before dx, which may lie where dy does
        const WeightGradient<T> source{dy, dy_pitch, x, x_pitch, rstd, whole_input};
        const int32_t status =
            add_column_sums("rms_norm_backward", stream, source, rows, cols, weight_gradient, scratch, scratch_bytes);
        if (status != GRAFT_OK) {
            return status;
        }
    }
    const bool whole = whole_input && has_whole_runs<T>(dx, dx_pitch, cols) && has_whole_runs<T>(weight, RUN, cols);
    const RowShape shape = row_shape<T>(rows, cols, 2, whole);
    return launch_rows("rms_norm_backward", rms_norm_backward_kernel<T>, shape, shared_bytes<T>(shape, 2), stream, dy, dy_pitch, x, x_pitch, weight,
                       rstd, dx, dx_pitch, accumulate);
}

} // namespace

} // namespace graft

int32_t graft_rms_norm_forward(void *stream, int32_t dtype, const void *x, int64_t x_pitch, const void *weight, float epsilon, void *y,
                               int64_t y_pitch, float *rstd, int64_t rows, int64_t cols) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return forward(stream, static_cast<const float *>(x), x_pitch, static_cast<const float *>(weight), epsilon,
                       static_cast<float *>(y), y_pitch, rstd, rows, cols);
    case GRAFT_BF16:
        return forward(stream, static_cast<const bf16 *>(x), x_pitch, static_cast<const bf16 *>(weight), epsilon, static_cast<bf16 *>(y),
                       y_pitch, rstd, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "rms_norm_forward", "the dtype is neither F32 nor BF16");
    }
}

int32_t graft_rms_norm_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, const void *x, int64_t x_pitch,
                                const void *weight, const float *rstd, void *dx, int64_t dx_pitch, int32_t accumulate,
                                float *weight_gradient, int64_t rows, int64_t cols, void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return backward(stream, static_cast<const float *>(dy), dy_pitch, static_cast<const float *>(x), x_pitch,
                        static_cast<const float *>(weight), rstd, static_cast<float *>(dx), dx_pitch, accumulate != 0, weight_gradient,
                        rows, cols, scratch, scratch_bytes);
    case GRAFT_BF16:
        return backward(stream, static_cast<const bf16 *>(dy), dy_pitch, static_cast<const bf16 *>(x), x_pitch,
                        static_cast<const bf16 *>(weight), rstd, static_cast<bf16 *>(dx), dx_pitch, accumulate != 0, weight_gradient,
                        rows, cols, scratch, scratch_bytes);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "rms_norm_backward", "the dtype is neither F32 nor BF16");
    }
}
