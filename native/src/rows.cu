/*
 * Rows by index, and sums over rows.
 *
 *   gather        y[i] = table[index[i]]
 *   scatter_add   table[index[i]] += y[i], in the order of i where an index repeats
 *   column sums   sums[cols] += sum over rows of x                                      (column_sums.cuh)
 */
#include "column_sums.cuh"

namespace graft {

namespace {

template <class T>
__global__ void gather_kernel(RunGrid grid, const T *table, int64_t table_pitch, const int32_t *index, T *y, int64_t y_pitch,
                              bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        float value[RUN];
        load_run(value, table + index[row] * table_pitch + col, grid.cols - col, whole);
        store_run(value, y + row * y_pitch + col, grid.cols - col, whole);
    }
}

template <class T>
int32_t gather(void *stream, const void *table, int64_t table_pitch, const int32_t *index, void *y, int64_t y_pitch, int64_t rows,
               int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole = has_whole_runs<T>(table, table_pitch, cols) && has_whole_runs<T>(y, y_pitch, cols);
    return launch("gather_rows", gather_kernel<T>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid, static_cast<const T *>(table),
                  table_pitch, index, static_cast<T *>(y), y_pitch, whole);
}

constexpr int SCATTER_WARPS = 8;
constexpr int SCATTER_THREADS = SCATTER_WARPS * WARP;

/* Block i acts where index[i] stands for the first time, and then for all later rows of that index too: a table row has one writer,
 * which takes the rows of y in order. Finding repeats reads the indices, rows^2 / 2 of them in all: 4 bytes each, from cache. */
template <class Y, class T>
__global__ void scatter_add_kernel(const Y *y, int64_t y_pitch, const int32_t *index, T *table, int64_t table_pitch, int64_t rows,
                                   int64_t cols, bool whole) {
    uint32_t *repeats = shared_memory<uint32_t>(); // a bit for each of SCATTER_THREADS rows
    const int64_t first = blockIdx.x;
    const int32_t target = index[first];
    const int warp = threadIdx.x / WARP;

    bool seen = false;
    for (int64_t i = threadIdx.x; i < first; i += SCATTER_THREADS) {
        seen |= index[i] == target;
    }
    repeats[warp] = __ballot_sync(FULL_WARP, seen);
    __syncthreads();
    for (int i = 0; i < SCATTER_WARPS; i++) {
        seen |= repeats[i] != 0;
    }
    if (seen) {
        return; // all threads of the block do
    }

    T *sums = table + target * table_pitch;
    for (int64_t batch = first; batch < rows; batch += SCATTER_THREADS) {
        const int64_t candidate = batch + threadIdx.x;
        __syncthreads();
        repeats[warp] = __ballot_sync(FULL_WARP, candidate < rows && index[candidate] == target);
        __syncthreads();
        for (int i = 0; i < SCATTER_THREADS; i++) {
            if (repeats[i / WARP] == 0) {
                i += WARP - 1;
                continue;
            }
            if ((repeats[i / WARP] >> (i % WARP) & 1) == 0) {
                continue;
            }
            for (int64_t col = static_cast<int64_t>(threadIdx.x) * RUN; col < cols; col += SCATTER_THREADS * RUN) {
                float sum[RUN];
                float value[RUN];
                load_run(sum, sums + col, cols - col, whole);
                load_run(value, y + (batch + i) * y_pitch + col, cols - col, whole);
                for (int j = 0; j < RUN; j++) {
                    sum[j] += value[j];
                }
                store_run(sum, sums + col, cols - col, whole);
            }
        }
    }
}

template <class Y, class T>
int32_t scatter_add(void *stream, const void *y, int64_t y_pitch, const int32_t *index, void *table, int64_t table_pitch, int64_t rows,
                    int64_t cols) {
    if (cols == 0) {
        return GRAFT_OK;
    }
    const bool whole = has_whole_runs<Y>(y, y_pitch, cols) && has_whole_runs<T>(table, table_pitch, cols);
    return launch("scatter_add_rows", scatter_add_kernel<Y, T>, dim3(static_cast<unsigned>(rows)), dim3(SCATTER_THREADS),
                  SCATTER_WARPS * sizeof(uint32_t), stream, static_cast<const Y *>(y), y_pitch, index, static_cast<T *>(table),
                  table_pitch, rows, cols, whole);
}

template <class T>
struct Plain {
    const T *x;
    int64_t pitch;
    bool whole;

    __device__ __forceinline__ void load(float (&value)[RUN], int64_t row, int64_t col, int64_t left) const {
        load_run(value, x + row * pitch + col, left, whole);
    }
};

template <class T>
int32_t sum_columns(void *stream, const void *x, int64_t x_pitch, int64_t rows, int64_t cols, float *sums, void *scratch,
                    int64_t scratch_bytes) {
    const Plain<T> source{static_cast<const T *>(x), x_pitch, has_whole_runs<T>(x, x_pitch, cols)};
    return add_column_sums("add_column_sums", stream, source, rows, cols, sums, scratch, scratch_bytes);
}

__global__ void add_column_parts_kernel(const float *parts, int64_t count, int64_t cols, float *sums) {
    const int64_t col = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (col < cols) {
        float sum = 0;
        for (int64_t part = 0; part < count; part++) {
            sum += parts[part * cols + col];
        }
        sums[col] += sum;
    }
}

} // namespace

int32_t add_column_parts(const char *operation, void *stream, const float *parts, int64_t count, int64_t cols, float *sums) {
    constexpr int threads = 128;
    return launch(operation, add_column_parts_kernel, dim3(static_cast<unsigned>(ceil_div<int64_t>(cols, threads))), dim3(threads), 0,
                  stream, parts, count, cols, sums);
}

} // namespace graft

int32_t graft_gather_rows(void *stream, int32_t dtype, const void *table, int64_t table_pitch, const int32_t *index, void *y,
                          int64_t y_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return gather<float>(stream, table, table_pitch, index, y, y_pitch, rows, cols);
    case GRAFT_BF16:
        return gather<bf16>(stream, table, table_pitch, index, y, y_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "gather_rows", "the dtype is neither F32 nor BF16");
    }
}

int32_t graft_scatter_add_rows(void *stream, int32_t y_dtype, const void *y, int64_t y_pitch, const int32_t *index, int32_t table_dtype,
                               void *table, int64_t table_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    if (y_dtype == GRAFT_F32 && table_dtype == GRAFT_F32) {
        return scatter_add<float, float>(stream, y, y_pitch, index, table, table_pitch, rows, cols);
    }
    if (y_dtype == GRAFT_BF16 && table_dtype == GRAFT_F32) {
        return scatter_add<bf16, float>(stream, y, y_pitch, index, table, table_pitch, rows, cols);
    }
    if (y_dtype == GRAFT_F32 && table_dtype == GRAFT_BF16) {
        return scatter_add<float, bf16>(stream, y, y_pitch, index, table, table_pitch, rows, cols);
    }
    if (y_dtype == GRAFT_BF16 && table_dtype == GRAFT_BF16) {
        return scatter_add<bf16, bf16>(stream, y, y_pitch, index, table, table_pitch, rows, cols);
    }
    return fail(GRAFT_INVALID_ARGUMENT, "scatter_add_rows", "a dtype is neither F32 nor BF16");
}

int32_t graft_add_column_sums(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t rows, int64_t cols, float *sums,
                              void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return sum_columns<float>(stream, x, x_pitch, rows, cols, sums, scratch, scratch_bytes);
    case GRAFT_BF16:
        return sum_columns<bf16>(stream, x, x_pitch, rows, cols, sums, scratch, scratch_bytes);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "add_column_sums", "the dtype is neither F32 nor BF16");
    }
}
