/*
 * Dropout of a whole matrix, or what it drops; x, y [rows, cols], y "=" or "+=":
 *   y = x keep / (1 - p)    or    y = x - x keep / (1 - p)
 *
 * One pass, bound by memory and by the Philox draws: a thread takes runs of eight columns (philox.cuh). y may be x.
 */
#include "philox.cuh"
#include "runs.cuh"

namespace graft {

namespace {

template <class T>
__global__ void dropout_kernel(RunGrid grid, const T *x, int64_t x_pitch, Dropout dropout, float scale, bool complement, bool accumulate,
                               T *y, int64_t y_pitch, bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        const int64_t left = grid.cols - col;
        const uint32_t kept = kept_of_8(dropout, row * grid.cols + col);
        float value[RUN];
        load_run(value, x + row * x_pitch + col, left, whole);
        for (int i = 0; i < RUN; i++) {
            const float dropped = (kept >> i & 1) != 0 ? value[i] * scale : 0;
            value[i] = complement ? value[i] - dropped : dropped;
        }
        if (accumulate) {
            float before[RUN];
            load_run(before, y + row * y_pitch + col, left, whole);
            for (int i = 0; i < RUN; i++) {
                value[i] += before[i];
            }
        }
        store_run(value, y + row * y_pitch + col, left, whole);
    }
}

template <class T>
int32_t apply(void *stream, const void *x, int64_t x_pitch, const Dropout &dropout, float scale, bool complement, bool accumulate, void *y,
              int64_t y_pitch, int64_t rows, int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole = has_whole_runs<T>(x, x_pitch, cols) && has_whole_runs<T>(y, y_pitch, cols);
    return launch("dropout", dropout_kernel<T>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid, static_cast<const T *>(x), x_pitch,
                  dropout, scale, complement, accumulate, static_cast<T *>(y), y_pitch, whole);
}

} // namespace

} // namespace graft

int32_t graft_dropout(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t seed, int32_t step, int32_t dropout_stream,
                      int32_t threshold, float scale, int32_t complement, int32_t accumulate, void *y, int64_t y_pitch, int64_t rows,
                      int64_t cols) {
    using namespace graft;
    const Dropout dropout(seed, step, dropout_stream, threshold);
    switch (dtype) {
    case GRAFT_F32:
        return apply<float>(stream, x, x_pitch, dropout, scale, complement != 0, accumulate != 0, y, y_pitch, rows, cols);
    case GRAFT_BF16:
        return apply<bf16>(stream, x, x_pitch, dropout, scale, complement != 0, accumulate != 0, y, y_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "dropout", "the dtype is neither F32 nor BF16");
    }
}
