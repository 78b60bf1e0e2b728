/*
 * What a kernel may use: CUDA C++ as everyone writes it, less what the emulator cannot follow. Kernels include this file and
 * graft_cuda.h, nothing else of CUDA's.
 *
 *   threadIdx, blockIdx, blockDim, gridDim; __global__, __device__, __forceinline__, __restrict__, __launch_bounds__
 *   __syncthreads, __syncwarp(); shuffles and ballots of the whole warp with the mask FULL_WARP
 *   dynamic shared memory only, through shared_memory<T>(); no __shared__ variables
 *   device functions below for bf16, 16-byte accesses, cp.async, ldmatrix and mma
 *
 * Not allowed: cooperative groups, clusters, grid-wide barriers, waiting for another block, floating-point atomics, partial warp
 * masks, returning early from a block whose other threads meet a barrier.
 *
 * Under GRAFT_EMULATE the same names are C++ (native/emulator/device.h): a CUDA thread is a fiber, blocks run one after another.
 */
#pragma once

#include <cstddef>
#include <cstdint>

#include "graft_cuda.h"

namespace graft {

constexpr unsigned FULL_WARP = 0xffffffffu;
constexpr int WARP = 32;

/* Storage of a bfloat16; arithmetic is done in float. */
struct bf16 {
    uint16_t bits;
};

/* What a 16-byte access moves. */
struct alignas(16) Words {
    uint32_t word[4];
};

/* Keeps `text` for graft_last_error() and returns `code`. */
int32_t fail(int32_t code, const char *operation, const char *text);

} // namespace graft

#ifdef GRAFT_EMULATE
#include "emulator/device.h"
#else
#include <cuda_runtime.h>
#endif

namespace graft {

#ifndef GRAFT_EMULATE

/* ---- launching (library.cu) */

/* The outcome of a launch that was just made. */
int32_t launch_status(const char *operation);

/* Enqueues kernel<<<grid, block, shared_bytes, stream>>>(arguments...). An empty grid does nothing. */
template <class... Parameters, class... Arguments>
int32_t launch(const char *operation, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, void *stream,
               Arguments... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) {
        return GRAFT_OK;
    }
    if (shared_bytes > 48 * 1024) {
        cudaError_t error = cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 static_cast<int>(shared_bytes));
        if (error != cudaSuccess) {
            cudaGetLastError(); /* or the next launch tells of it again */
            return fail(GRAFT_CUDA_ERROR, operation, cudaGetErrorString(error));
        }
    }
    kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream)>>>(static_cast<Parameters>(arguments)...);
    return launch_status(operation);
}

/* Streaming multiprocessors of the current device: what a grid should fill. */
int multiprocessors();

/* ---- shared memory */

/* The block's dynamic shared memory, on a 128-byte boundary. */
template <class T>
__device__ __forceinline__ T *shared_memory() {
    extern __shared__ __align__(128) unsigned char graft_shared_memory[];
    return reinterpret_cast<T *>(graft_shared_memory);
}

/* ---- bfloat16 */

__device__ __forceinline__ float to_float(bf16 value) {
    return __uint_as_float(static_cast<uint32_t>(value.bits) << 16);
}

/* Two numbers rounded to nearest even; `low` in the low half. */
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
    uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

__device__ __forceinline__ bf16 to_bf16(float value) {
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return {bits};
}

/* The bits of a float, and back. */
__device__ __forceinline__ uint32_t float_bits(float value) {
    return __float_as_uint(value);
}
__device__ __forceinline__ float bits_float(uint32_t bits) {
    return __uint_as_float(bits);
}

/* Binary16 to float; exact. */
__device__ __forceinline__ float half_to_float(uint16_t bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

/* ---- 16-byte accesses; both addresses on 16-byte boundaries */

__device__ __forceinline__ Words load16(const void *address) {
    uint4 v = *static_cast<const uint4 *>(address);
    return {{v.x, v.y, v.z, v.w}};
}

/* As load16, of memory that no thread writes while the kernel runs. */
__device__ __forceinline__ Words load16_readonly(const void *address) {
    uint4 v = __ldg(static_cast<const uint4 *>(address));
    return {{v.x, v.y, v.z, v.w}};
}

__device__ __forceinline__ void store16(void *address, const Words &words) {
    *static_cast<uint4 *>(address) = make_uint4(words.word[0], words.word[1], words.word[2], words.word[3]);
}

/* 16 bytes from global to shared memory without passing a register; zeros where not `valid` (the address is not read then). */
__device__ __forceinline__ void cp_async16(void *shared, const void *global, bool valid) {
    uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
    int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes) : "memory");
}

/* Ends a group of copies. */
__device__ __forceinline__ void cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits until at most `Pending` of this thread's latest groups are under way. A barrier must follow before others read. */
template <int Pending>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

/* ---- tensor cores; the whole warp takes part */

/* Four 8x8 matrices of 16-bit elements from shared memory: lane 8 i + j gives the address of row j of matrix i; lane l receives of
 * each matrix elements (l / 4, 2 (l % 4)) and the next one. */
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&matrices)[4], const void *row) {
    uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
                 : "r"(address)
                 : "memory");
}

/* As ldmatrix_x4, each matrix transposed on the way. */
__device__ __forceinline__ void ldmatrix_x4_transposed(uint32_t (&matrices)[4], const void *row) {
    uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
                 : "r"(address)
                 : "memory");
}

/* d[16, 8] += a[16, 16] b[16, 8] in bf16 with float32 sums, in PTX's fragment layout of mma.m16n8k16: with g = lane / 4, t = lane % 4,
 *   a[0] (g, 2t..2t+1)  a[1] (g + 8, 2t..)  a[2] (g, 2t + 8..)  a[3] (g + 8, 2t + 8..)
 *   b[0] (2t..2t+1, g)  b[1] (2t + 8.., g)
 *   d[0], d[1] (g, 2t..2t+1)  d[2], d[3] (g + 8, 2t..2t+1) */
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

/* ---- what is the same under both */

/* An element as float, and a float as an element, for kernels that are templates over float and bf16. */
__device__ __forceinline__ float to_float(float value) {
    return value;
}

template <class T>
__device__ __forceinline__ T from_float(float value);

template <>
__device__ __forceinline__ float from_float<float>(float value) {
    return value;
}

template <>
__device__ __forceinline__ bf16 from_float<bf16>(float value) {
    return to_bf16(value);
}

/* 16 bytes of T as floats: N = 4 of float, 8 of bf16. */
template <class T>
struct Pack;

template <>
struct Pack<float> {
    static constexpr int N = 4;
    float value[N];

    static __device__ __forceinline__ Pack load(const float *address) {
        Words words = load16(address);
        Pack pack;
        for (int i = 0; i < N; i++) {
            pack.value[i] = bits_float(words.word[i]);
        }
        return pack;
    }

    __device__ __forceinline__ void store(float *address) const {
        Words words;
        for (int i = 0; i < N; i++) {
            words.word[i] = float_bits(value[i]);
        }
        store16(address, words);
    }
};

template <>
struct Pack<bf16> {
    static constexpr int N = 8;
    float value[N];

    static __device__ __forceinline__ Pack load(const bf16 *address) {
        Words words = load16(address);
        Pack pack;
        for (int i = 0; i < 4; i++) {
            pack.value[2 * i] = bits_float(words.word[i] << 16);
            pack.value[2 * i + 1] = bits_float(words.word[i] & 0xffff0000u);
        }
        return pack;
    }

    __device__ __forceinline__ void store(bf16 *address) const {
        Words words;
        for (int i = 0; i < 4; i++) {
            words.word[i] = pack_bf16(value[2 * i], value[2 * i + 1]);
        }
        store16(address, words);
    }
};

/* Whether a row-pitched matrix can be read in 16-byte packs of T: address, pitch and width all divide. */
template <class T>
inline bool is_packed(const void *address, int64_t pitch, int64_t cols) {
    constexpr int64_t n = 16 / static_cast<int64_t>(sizeof(T));
    return reinterpret_cast<uintptr_t>(address) % 16 == 0 && pitch % n == 0 && cols % n == 0;
}

template <class I>
__host__ __device__ constexpr I ceil_div(I a, I b) {
    return (a + b - 1) / b;
}

} // namespace graft
