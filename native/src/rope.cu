/*
 * Rotary position embedding, in place: per head of x [rows, heads * D], with the angle of the row's position,
 *   x1 = x1 cos - x2 sin, x2 = x2 cos + x1 sin for the pairs (i, i + D/2); backward is the same with sin negated.
 *
 * One pass over x. A thread rotates a pack of 16 bytes of the first half and its partner of the second half for up to four heads, so that
 * cosines and sines, float32 and as many bytes as x itself in bf16, are read once for them. Blocks are rows x packs of a row; rows
 * are strided over the grid.
 */
#include "device.cuh"

namespace graft {

constexpr int ROPE_HEADS = 4;

/* Packs [i, i + N) of both halves; `sign` -1 turns back. N: Pack<T>::N, or 1 where addresses are not aligned for packs. */
template <class T, int N>
__global__ __launch_bounds__(256) void rope(T *x, int64_t x_pitch, const float *cos_sin, int64_t cos_sin_pitch, const int32_t *positions,
                                            float sign, int64_t rows, int heads, int head_dim) {
    const int half = head_dim / 2;
    const int packs = half / N;
    const int item = blockIdx.x * blockDim.x + threadIdx.x;
    const int first_head = item / packs * ROPE_HEADS;
    const int i = item % packs * N;
    if (first_head >= heads) {
        return;
    }
    const int end_head = min(first_head + ROPE_HEADS, heads);
#pragma unroll 1
    for (int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y; row < rows;
         row += static_cast<int64_t>(gridDim.y) * blockDim.y) {
        const float *angle = cos_sin + positions[row] * cos_sin_pitch + i;
        float cosine[N];
        float sine[N];
        if constexpr (N > 1) {
            for (int p = 0; p < N; p += 4) {
                const Pack<float> cosines = Pack<float>::load(angle + p);
                const Pack<float> sines = Pack<float>::load(angle + half + p);
                for (int e = 0; e < 4; e++) {
                    cosine[p + e] = cosines.value[e];
                    sine[p + e] = sign * sines.value[e];
                }
            }
        } else {
            cosine[0] = angle[0];
            sine[0] = sign * angle[half];
        }
        for (int head = first_head; head < end_head; head++) {
            T *first = x + row * x_pitch + static_cast<int64_t>(head) * head_dim + i;
            T *second = first + half;
            if constexpr (N > 1) {
                Pack<T> x1 = Pack<T>::load(first);
                Pack<T> x2 = Pack<T>::load(second);
                for (int e = 0; e < N; e++) {
                    const float old = x1.value[e];
                    x1.value[e] = old * cosine[e] - x2.value[e] * sine[e];
                    x2.value[e] = x2.value[e] * cosine[e] + old * sine[e];
                }
                x1.store(first);
                x2.store(second);
            } else {
                const float x1 = to_float(*first);
                const float x2 = to_float(*second);
                *first = from_float<T>(x1 * cosine[0] - x2 * sine[0]);
                *second = from_float<T>(x2 * cosine[0] + x1 * sine[0]);
            }
        }
    }
}

template <class T, int N>
static int32_t launch_rope(void *stream, T *x, int64_t x_pitch, const float *cos_sin, int64_t cos_sin_pitch, const int32_t *positions,
                           float sign, int64_t rows, int heads, int head_dim) {
    const int items = ceil_div(heads, ROPE_HEADS) * (head_dim / 2 / N);
    const dim3 block = items > 128 ? dim3(256, 1) : items > 32 ? dim3(64, 4) : dim3(32, 8);
    const int64_t row_blocks = ceil_div<int64_t>(rows, block.y);
    const dim3 grid(ceil_div<unsigned>(items, block.x), static_cast<unsigned>(row_blocks < 32768 ? row_blocks : 32768));
    return launch("rope", rope<T, N>, grid, block, 0, stream, x, x_pitch, cos_sin, cos_sin_pitch, positions, sign, rows, heads, head_dim);
}

template <class T>
static int32_t choose_rope(void *stream, T *x, int64_t x_pitch, const float *cos_sin, int64_t cos_sin_pitch, const int32_t *positions,
                           float sign, int64_t rows, int heads, int head_dim) {
    const int64_t half = head_dim / 2;
    const bool packed = is_packed<T>(x, x_pitch, half) && is_packed<float>(cos_sin, cos_sin_pitch, half);
    return packed ? launch_rope<T, Pack<T>::N>(stream, x, x_pitch, cos_sin, cos_sin_pitch, positions, sign, rows, heads, head_dim)
                  : launch_rope<T, 1>(stream, x, x_pitch, cos_sin, cos_sin_pitch, positions, sign, rows, heads, head_dim);
}

} // namespace graft

int32_t graft_rope(void *stream, int32_t dtype, void *x, int64_t x_pitch, const float *cos_sin, int64_t cos_sin_pitch,
                   const int32_t *positions, int32_t inverse, int64_t rows, int32_t heads, int32_t head_dim) {
    using namespace graft;
    if ((dtype != GRAFT_F32 && dtype != GRAFT_BF16) || head_dim < 0 || head_dim % 2 != 0) {
        return fail(GRAFT_INVALID_ARGUMENT, "rope", "dtype must be F32 or BF16, head_dim even");
    }
    if (rows == 0 || heads == 0 || head_dim == 0) {
        return GRAFT_OK;
    }
    const float sign = inverse ? -1.0f : 1.0f;
    return dtype == GRAFT_F32
               ? choose_rope(stream, static_cast<float *>(x), x_pitch, cos_sin, cos_sin_pitch, positions, sign, rows, heads, head_dim)
               : choose_rope(stream, static_cast<bf16 *>(x), x_pitch, cos_sin, cos_sin_pitch, positions, sign, rows, heads, head_dim);
}
