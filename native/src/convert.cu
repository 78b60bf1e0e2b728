/*
 * Elementwise copies of pitched matrices.
 *
 *   convert    destination = source, rounding to nearest even
 *   fill_rows  y = bias + residual, either of which may be missing
 *
 * A thread takes eight elements of a row at a time (runs.cuh): what these kernels do is moving bytes, and 16-byte accesses move
 * them fastest.
 */
#include "runs.cuh"

namespace graft {

struct f16 {
    uint16_t bits;
};

__device__ __forceinline__ float to_float(f16 value) {
    return half_to_float(value.bits);
}

template <>
struct Pack<f16> {
    static constexpr int N = 8;
    float value[N];

    static __device__ __forceinline__ Pack load(const f16 *address) {
        Words words = load16(address);
        Pack pack;
        for (int i = 0; i < 4; i++) {
            pack.value[2 * i] = half_to_float(static_cast<uint16_t>(words.word[i]));
            pack.value[2 * i + 1] = half_to_float(static_cast<uint16_t>(words.word[i] >> 16));
        }
        return pack;
    }
};

namespace {

template <class S, class D>
__global__ void convert_kernel(RunGrid grid, const S *source, int64_t source_pitch, D *destination, int64_t destination_pitch,
                               bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        float value[RUN];
        load_run(value, source + row * source_pitch + col, grid.cols - col, whole);
        store_run(value, destination + row * destination_pitch + col, grid.cols - col, whole);
    }
}

template <class S, class D>
int32_t convert(void *stream, const void *source, int64_t source_pitch, void *destination, int64_t destination_pitch, int64_t rows,
                int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole = has_whole_runs<S>(source, source_pitch, cols) && has_whole_runs<D>(destination, destination_pitch, cols);
    return launch("convert", convert_kernel<S, D>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid,
                  static_cast<const S *>(source), source_pitch, static_cast<D *>(destination), destination_pitch, whole);
}

template <class S>
int32_t convert_from(void *stream, const void *source, int64_t source_pitch, int32_t destination_dtype, void *destination,
                     int64_t destination_pitch, int64_t rows, int64_t cols) {
    switch (destination_dtype) {
    case GRAFT_F32:
        return convert<S, float>(stream, source, source_pitch, destination, destination_pitch, rows, cols);
    case GRAFT_BF16:
        return convert<S, bf16>(stream, source, source_pitch, destination, destination_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "convert", "the destination is neither F32 nor BF16");
    }
}

template <class T, class B>
__global__ void fill_rows_kernel(RunGrid grid, const B *bias, bool whole_bias, const T *residual, int64_t residual_pitch, T *y,
                                 int64_t y_pitch, bool whole) {
    const int64_t row = grid.row();
    for (int64_t col = grid.first_col(); col < grid.cols; col += grid.col_step()) {
        float sum[RUN] = {};
        if (bias != nullptr) {
            load_run(sum, bias + col, grid.cols - col, whole_bias);
        }
        if (residual != nullptr) {
            float value[RUN];
            load_run(value, residual + row * residual_pitch + col, grid.cols - col, whole);
            for (int i = 0; i < RUN; i++) {
                sum[i] += value[i];
            }
        }
        store_run(sum, y + row * y_pitch + col, grid.cols - col, whole);
    }
}

template <class T, class B>
int32_t fill_rows(void *stream, const void *bias, const void *residual, int64_t residual_pitch, void *y, int64_t y_pitch, int64_t rows,
                  int64_t cols) {
    const RunGrid grid(rows, cols);
    const bool whole = has_whole_runs<T>(y, y_pitch, cols) && (residual == nullptr || has_whole_runs<T>(residual, residual_pitch, cols));
    return launch("fill_rows", fill_rows_kernel<T, B>, grid.blocks(), dim3(RunGrid::THREADS), 0, stream, grid,
                  static_cast<const B *>(bias), has_whole_runs<B>(bias, RUN, cols), static_cast<const T *>(residual), residual_pitch,
                  static_cast<T *>(y), y_pitch, whole);
}

} // namespace

} // namespace graft

int32_t graft_convert(void *stream, int32_t source_dtype, const void *source, int64_t source_pitch, int32_t destination_dtype,
                      void *destination, int64_t destination_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    switch (source_dtype) {
    case GRAFT_F32:
        return convert_from<float>(stream, source, source_pitch, destination_dtype, destination, destination_pitch, rows, cols);
    case GRAFT_BF16:
        return convert_from<bf16>(stream, source, source_pitch, destination_dtype, destination, destination_pitch, rows, cols);
    case GRAFT_F16:
        return convert_from<f16>(stream, source, source_pitch, destination_dtype, destination, destination_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "convert", "the source is none of F32, BF16 and F16");
    }
}

int32_t graft_fill_rows(void *stream, int32_t dtype, const void *bias, int32_t bias_dtype, const void *residual, int64_t residual_pitch,
                        void *y, int64_t y_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    if (bias == nullptr) {
        bias_dtype = dtype;
    }
    if (dtype == GRAFT_F32 && bias_dtype == GRAFT_F32) {
        return fill_rows<float, float>(stream, bias, residual, residual_pitch, y, y_pitch, rows, cols);
    }
    if (dtype == GRAFT_F32 && bias_dtype == GRAFT_BF16) {
        return fill_rows<float, bf16>(stream, bias, residual, residual_pitch, y, y_pitch, rows, cols);
    }
    if (dtype == GRAFT_BF16 && bias_dtype == GRAFT_BF16) {
        return fill_rows<bf16, bf16>(stream, bias, residual, residual_pitch, y, y_pitch, rows, cols);
    }
    return fail(GRAFT_INVALID_ARGUMENT, "fill_rows", "y and bias are F32 and F32, F32 and BF16, or BF16 and BF16");
}
