/*
 * sums[cols] += sum over rows of what a Source gives: a bias gradient, an RMSNorm weight's gradient.
 *
 * A Source has T (dtype of what it reads) and load(value, row, col, left): eight elements of a row, zeros from `left` on.
 *
 * A block takes 256 columns of a part of the rows: 32 lanes of eight columns, eight rows at a time, so that each warp reads 512
 * bytes of a bf16 row. Rows are split into parts until the grid fills the GPU; the parts' sums go through scratch and are added in
 * order.
 */
#pragma once

#include "runs.cuh"

namespace graft {

constexpr int COLUMN_SUM_COLS = WARP * RUN;
constexpr int COLUMN_SUM_ROWS = 8;

/* sums[cols] += parts[0][cols] + parts[1][cols] + ... (rows.cu). */
int32_t add_column_parts(const char *operation, void *stream, const float *parts, int64_t count, int64_t cols, float *sums);

template <class Source>
__global__ void column_sums_kernel(Source source, int64_t rows, int64_t cols, int64_t rows_per_part, float *sums, float *parts) {
    float *shared = shared_memory<float>(); // [COLUMN_SUM_ROWS][COLUMN_SUM_COLS]
    const int lane = threadIdx.x % WARP;
    const int row_lane = threadIdx.x / WARP;
    const int64_t first_col = static_cast<int64_t>(blockIdx.x) * COLUMN_SUM_COLS;
    const int64_t col = first_col + lane * RUN;
    const int64_t from = blockIdx.y * rows_per_part;
    const int64_t to = from + rows_per_part < rows ? from + rows_per_part : rows;
    float sum[RUN] = {};
    if (col < cols) {
        for (int64_t row = from + row_lane; row < to; row += COLUMN_SUM_ROWS) {
            float value[RUN];
            source.load(value, row, col, cols - col);
            for (int i = 0; i < RUN; i++) {
                sum[i] += value[i];
            }
        }
    }
    store_run(sum, shared + row_lane * COLUMN_SUM_COLS + lane * RUN, RUN, true);
    __syncthreads();
    const int64_t own_col = first_col + threadIdx.x;
    if (own_col < cols) {
        float total = 0;
        for (int i = 0; i < COLUMN_SUM_ROWS; i++) {
            total += shared[i * COLUMN_SUM_COLS + threadIdx.x];
        }
        if (parts != nullptr) {
            parts[blockIdx.y * cols + own_col] = total;
        } else {
            sums[own_col] += total;
        }
    }
}

template <class Source>
int32_t add_column_sums(const char *operation, void *stream, const Source &source, int64_t rows, int64_t cols, float *sums, void *scratch,
                        int64_t scratch_bytes) {
    if (rows == 0 || cols == 0) {
        return GRAFT_OK;
    }
    const int64_t blocks = ceil_div<int64_t>(cols, COLUMN_SUM_COLS);
    const Parts split =
        split_steps(ceil_div<int64_t>(rows, COLUMN_SUM_ROWS), 8, blocks, cols * static_cast<int64_t>(sizeof(float)), scratch_bytes);
    float *parts = split.count > 1 ? static_cast<float *>(scratch) : nullptr;
    const int32_t status =
        launch(operation, column_sums_kernel<Source>, dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(split.count)),
               dim3(WARP * COLUMN_SUM_ROWS), COLUMN_SUM_ROWS * COLUMN_SUM_COLS * sizeof(float), stream, source, rows, cols,
               split.steps * COLUMN_SUM_ROWS, sums, parts);
    if (status != GRAFT_OK || parts == nullptr) {
        return status;
    }
    return add_column_parts(operation, stream, parts, split.count, cols, sums);
}

} // namespace graft
