/*
 * y = a + b on [rows, cols], "=", summed in float and rounded once; y may be a or b.
 *
 * A thread takes eight elements of a row at a time (runs.cuh). It reads them before it writes, so that y may be an operand.
 */
#include "runs.cuh"

namespace graft {

namespace {

template <class T, class B>
__global__ void add_kernel(RunGrid grid, const T *a, int64_t a_pitch, const B *b, int64_t b_pitch, T *y, int64_t y_pitch, bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        float sum[RUN];
        float addend[RUN];
        load_run(sum, a + row * a_pitch + col, grid.cols - col, whole);
        load_run(addend, b + row * b_pitch + col, grid.cols - col, whole);
        for (int i = 0; i < RUN; i++) {
            sum[i] += addend[i];
        }
        store_run(sum, y + row * y_pitch + col, grid.cols - col, whole);
    }
}

template <class T, class B>
int32_t add(void *stream, const void *a, int64_t a_pitch, const void *b, int64_t b_pitch, void *y, int64_t y_pitch, int64_t rows,
            int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole =
        has_whole_runs<T>(a, a_pitch, cols) && has_whole_runs<B>(b, b_pitch, cols) && has_whole_runs<T>(y, y_pitch, cols);
    return launch("add", add_kernel<T, B>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid, static_cast<const T *>(a), a_pitch,
                  static_cast<const B *>(b), b_pitch, static_cast<T *>(y), y_pitch, whole);
}

} // namespace

} // namespace graft

int32_t graft_add(void *stream, int32_t dtype, const void *a, int64_t a_pitch, int32_t b_dtype, const void *b, int64_t b_pitch, void *y,
                  int64_t y_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    if (dtype == GRAFT_F32 && b_dtype == GRAFT_F32) {
        return add<float, float>(stream, a, a_pitch, b, b_pitch, y, y_pitch, rows, cols);
    }
    if (dtype == GRAFT_BF16 && b_dtype == GRAFT_F32) {
        return add<bf16, float>(stream, a, a_pitch, b, b_pitch, y, y_pitch, rows, cols);
    }
    if (dtype == GRAFT_BF16 && b_dtype == GRAFT_BF16) {
        return add<bf16, bf16>(stream, a, a_pitch, b, b_pitch, y, y_pitch, rows, cols);
    }
    return fail(GRAFT_INVALID_ARGUMENT, "add", "y and b are F32 and F32, BF16 and F32, or BF16 and BF16");
}
