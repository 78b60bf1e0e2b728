/*
 * SwiGLU on [rows, cols], all outputs "=":
 *   y = silu(gate) * up, silu(g) = g s(g), s(g) = 1 / (1 + e^-g);
 *   d_gate = dy * up * s(gate) (1 + gate (1 - s(gate))), d_up = dy * silu(gate).
 *
 * One pass, bound by memory: a thread takes a pack of 16 bytes of each operand (one element where addresses are not aligned for
 * packs). Blocks are rows x packs of a row; rows are strided over the grid. Where e^-g overflows, s is 0 and so are the results.
 */
#include "device.cuh"

namespace graft {

/* N elements at once: a pack, or one element. */
template <class T, int N>
struct Elements {
    float value[N];

    static __device__ __forceinline__ Elements load(const T *address) {
        Elements elements;
        if constexpr (N == 1) {
            elements.value[0] = to_float(*address);
        } else {
            const Pack<T> pack = Pack<T>::load(address);
            for (int e = 0; e < N; e++) {
                elements.value[e] = pack.value[e];
            }
        }
        return elements;
    }

    __device__ __forceinline__ void store(T *address) const {
        if constexpr (N == 1) {
            *address = from_float<T>(value[0]);
        } else {
            Pack<T> pack;
            for (int e = 0; e < N; e++) {
                pack.value[e] = value[e];
            }
            pack.store(address);
        }
    }
};

__device__ __forceinline__ float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

template <class T, int N>
__global__ __launch_bounds__(256) void swiglu_forward(const T *gate, int64_t gate_pitch, const T *up, int64_t up_pitch, T *y,
                                                      int64_t y_pitch, int64_t rows, int64_t cols) {
    const int64_t col = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
    if (col >= cols) {
        return;
    }
#pragma unroll 1
    for (int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y; row < rows;
         row += static_cast<int64_t>(gridDim.y) * blockDim.y) {
        const auto g = Elements<T, N>::load(gate + row * gate_pitch + col);
        const auto u = Elements<T, N>::load(up + row * up_pitch + col);
        Elements<T, N> result;
        for (int e = 0; e < N; e++) {
            result.value[e] = g.value[e] * sigmoid(g.value[e]) * u.value[e];
        }
        result.store(y + row * y_pitch + col);
    }
}

/* No __restrict__: d_gate may be gate, d_up may be up. A thread reads its elements before it writes them. */
template <class T, int N>
__global__ __launch_bounds__(256) void swiglu_backward(const T *dy, int64_t dy_pitch, const T *gate, int64_t gate_pitch, const T *up,
                                                       int64_t up_pitch, T *d_gate, int64_t d_gate_pitch, T *d_up, int64_t d_up_pitch,
                                                       int64_t rows, int64_t cols) {
    const int64_t col = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
    if (col >= cols) {
        return;
    }
#pragma unroll 1
    for (int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y; row < rows;
         row += static_cast<int64_t>(gridDim.y) * blockDim.y) {
        const auto d = Elements<T, N>::load(dy + row * dy_pitch + col);
        const auto g = Elements<T, N>::load(gate + row * gate_pitch + col);
        const auto u = Elements<T, N>::load(up + row * up_pitch + col);
        Elements<T, N> gate_gradient;
        Elements<T, N> up_gradient;
        for (int e = 0; e < N; e++) {
            const float s = sigmoid(g.value[e]);
            gate_gradient.value[e] = d.value[e] * u.value[e] * s * (1 + g.value[e] * (1 - s));
            up_gradient.value[e] = d.value[e] * (g.value[e] * s);
        }
        gate_gradient.store(d_gate + row * d_gate_pitch + col);
        up_gradient.store(d_up + row * d_up_pitch + col);
    }
}

struct ElementwiseShape {
    dim3 grid, block;

    /* `items` threads a row: 256 side by side, or fewer and several rows a block. */
    ElementwiseShape(int64_t rows, int64_t items) : block(items > 128 ? dim3(256, 1) : items > 32 ? dim3(64, 4) : dim3(32, 8)) {
        const int64_t row_blocks = ceil_div<int64_t>(rows, block.y);
        grid.x = static_cast<unsigned>(ceil_div<int64_t>(items, block.x));
        grid.y = static_cast<unsigned>(row_blocks < 32768 ? row_blocks : 32768);
    }
};

template <class T>
static int32_t launch_swiglu_forward(void *stream, const T *gate, int64_t gate_pitch, const T *up, int64_t up_pitch, T *y, int64_t y_pitch,
                                     int64_t rows, int64_t cols) {
    constexpr int N = Pack<T>::N;
    const bool packed = is_packed<T>(gate, gate_pitch, cols) && is_packed<T>(up, up_pitch, cols) && is_packed<T>(y, y_pitch, cols);
    const ElementwiseShape shape(rows, packed ? cols / N : cols);
    return launch("swiglu_forward", packed ? swiglu_forward<T, N> : swiglu_forward<T, 1>, shape.grid, shape.block, 0, stream, gate,
                  gate_pitch, up, up_pitch, y, y_pitch, rows, cols);
}

template <class T>
static int32_t launch_swiglu_backward(void *stream, const T *dy, int64_t dy_pitch, const T *gate, int64_t gate_pitch, const T *up,
                                      int64_t up_pitch, T *d_gate, int64_t d_gate_pitch, T *d_up, int64_t d_up_pitch, int64_t rows,
                                      int64_t cols) {
    constexpr int N = Pack<T>::N;
    const bool packed = is_packed<T>(dy, dy_pitch, cols) && is_packed<T>(gate, gate_pitch, cols) && is_packed<T>(up, up_pitch, cols) &&
                        is_packed<T>(d_gate, d_gate_pitch, cols) && is_packed<T>(d_up, d_up_pitch, cols);
    const ElementwiseShape shape(rows, packed ? cols / N : cols);
    return launch("swiglu_backward", packed ? swiglu_backward<T, N> : swiglu_backward<T, 1>, shape.grid, shape.block, 0, stream, dy,
                  dy_pitch, gate, gate_pitch, up, up_pitch, d_gate, d_gate_pitch, d_up, d_up_pitch, rows, cols);
}

} // namespace graft

int32_t graft_swiglu_forward(void *stream, int32_t dtype, const void *gate, int64_t gate_pitch, const void *up, int64_t up_pitch, void *y,
                             int64_t y_pitch, int64_t rows, int64_t cols) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return launch_swiglu_forward(stream, static_cast<const float *>(gate), gate_pitch, static_cast<const float *>(up), up_pitch,
                                     static_cast<float *>(y), y_pitch, rows, cols);
    case GRAFT_BF16:
        return launch_swiglu_forward(stream, static_cast<const bf16 *>(gate), gate_pitch, static_cast<const bf16 *>(up), up_pitch,
                                     static_cast<bf16 *>(y), y_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "swiglu_forward", "dtype must be F32 or BF16");
    }
}

int32_t graft_swiglu_backward(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, const void *gate, int64_t gate_pitch,
                              const void *up, int64_t up_pitch, void *d_gate, int64_t d_gate_pitch, void *d_up, int64_t d_up_pitch,
                              int64_t rows, int64_t cols) {
    using namespace graft;
    switch (dtype) {
    case GRAFT_F32:
        return launch_swiglu_backward(stream, static_cast<const float *>(dy), dy_pitch, static_cast<const float *>(gate), gate_pitch,
                                      static_cast<const float *>(up), up_pitch, static_cast<float *>(d_gate), d_gate_pitch,
                                      static_cast<float *>(d_up), d_up_pitch, rows, cols);
    case GRAFT_BF16:
        return launch_swiglu_backward(stream, static_cast<const bf16 *>(dy), dy_pitch, static_cast<const bf16 *>(gate), gate_pitch,
                                      static_cast<const bf16 *>(up), up_pitch, static_cast<bf16 *>(d_gate), d_gate_pitch,
                                      static_cast<bf16 *>(d_up), d_up_pitch, rows, cols);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "swiglu_backward", "dtype must be F32 or BF16");
    }
}
