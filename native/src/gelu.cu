/*
 * The exact GELU on [rows, cols], all outputs "=":
 *   y = x P(x), P(x) = (1 + erf(x / sqrt(2))) / 2;
 *   dx = dy (P(x) + x p(x)), p(x) = e^(-x^2 / 2) / sqrt(2 pi).
 *
 * One pass, bound by memory: a thread takes eight elements of a row at a time (runs.cuh). P is erfc(-x / sqrt(2)) / 2, which keeps its
 * relative precision where it is small; 1 + erf would lose it.
 */
#include "runs.cuh"

namespace graft {

namespace {

constexpr float ROOT_HALF = 0.70710678118654752f;
constexpr float DENSITY_AT_0 = 0.39894228040143268f;

__device__ __forceinline__ float normal_distribution(float x) {
    return 0.5f * erfcf(-ROOT_HALF * x);
}

template <class T>
__global__ void gelu_forward(RunGrid grid, const T *x, int64_t x_pitch, T *y, int64_t y_pitch, bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        float value[RUN];
        load_run(value, x + row * x_pitch + col, grid.cols - col, whole);
        for (int i = 0; i < RUN; i++) {
            value[i] *= normal_distribution(value[i]);
        }
        store_run(value, y + row * y_pitch + col, grid.cols - col, whole);
    }
}

/* dx may be x: a thread reads its elements before it writes them. */
template <class T>
__global__ void gelu_backward(RunGrid grid, const T *dy, int64_t dy_pitch, const T *x, int64_t x_pitch, T *dx, int64_t dx_pitch,
                              bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        float value[RUN];
        float gradient[RUN];
        load_run(value, x + row * x_pitch + col, grid.cols - col, whole);
        load_run(gradient, dy + row * dy_pitch + col, grid.cols - col, whole);
        for (int i = 0; i < RUN; i++) {
            const float density = DENSITY_AT_0 * expf(-0.5f * value[i] * value[i]);
            gradient[i] *= normal_distribution(value[i]) + value[i] * density;
        }
        store_run(gradient, dx + row * dx_pitch + col, grid.cols - col, whole);
    }
}

template <class T>
int32_t forward(void *stream, const void *x, int64_t x_pitch, void *y, int64_t y_pitch, int64_t rows, int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole = has_whole_runs<T>(x, x_pitch, cols) && has_whole_runs<T>(y, y_pitch, cols);
    return launch("gelu_forward", gelu_forward<T>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid, static_cast<const T *>(x),
                  x_pitch, static_cast<T *>(y), y_pitch, whole);
}

template <class T>
int32_t backward(void *stream, const void *dy, int64_t dy_pitch, const void *x, int64_t x_pitch, void *dx, int64_t dx_pitch, int64_t rows,
                 int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole =
        has_whole_runs<T>(dy, dy_pitch, cols) && has_whole_runs<T>(x, x_pitch, cols) && has_whole_runs<T>(dx, dx_pitch, cols);
    return launch("gelu_backward", gelu_backward<T>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid, static_cast<const T *>(dy),
                  dy_pitch, static_cast<const T *>(x), x_pitch, static_cast<T *>(dx), dx_pitch, whole);
}

} // namespace

} // namespace graft

int32_t graft_gelu_forward(void *stream, int32_t dtype, const void *x, int64_t x_pitch, void *y, int64_t y_pitch, int64_t rows,
                           int64_t cols) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return forward<float>(stream, x, x_pitch, y, y_pitch, rows, cols);
    case GRAFT_BF16:
        return forward<bf16>(stream, x, x_pitch, y, y_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "gelu_forward", "dtype must be F32 or BF16");
    }
}

int32_t graft_gelu_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, const void *x, int64_t x_pitch, void *dx,
                            int64_t dx_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return backward<float>(stream, dy, dy_pitch, x, x_pitch, dx, dx_pitch, rows, cols);
    case GRAFT_BF16:
        return backward<bf16>(stream, dy, dy_pitch, x, x_pitch, dx, dx_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "gelu_backward", "dtype must be F32 or BF16");
    }
}
