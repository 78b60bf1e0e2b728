/* Sums and maxima over a warp or a block, in an order that depends on nothing but the number of threads. */
#pragma once

#include "device.cuh"

namespace graft {

__device__ __forceinline__ float warp_sum(float value) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(FULL_WARP, value, offset);
    }
    return value;
}

__device__ __forceinline__ float warp_max(float value) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        value = fmaxf(value, __shfl_xor_sync(FULL_WARP, value, offset));
    }
    return value;
}

/* The sum over the block, in every thread. `shared`: one float a warp; may be used again after this returns. The block's size is a
 * multiple of 32. */
__device__ __forceinline__ float block_sum(float value, float *shared) {
    const int warp = threadIdx.x / WARP;
    const int warps = blockDim.x / WARP;
    value = warp_sum(value);
    if (threadIdx.x % WARP == 0) {
        shared[warp] = value;
    }
    __syncthreads();
    float total = 0;
    for (int i = 0; i < warps; i++) {
        total += shared[i];
    }
    __syncthreads();
    return total;
}

} // namespace graft
