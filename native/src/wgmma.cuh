/*
 * Hopper's tensor cores: wgmma, for kernels that are compiled for sm_90a alone. PTX ISA 8.0, "Asynchronous warpgroup level matrix
 * instructions".
 *
 * The four warps of a warpgroup (the first a multiple of four) multiply together, operands in shared memory, A also in registers. Products
 * are asynchronous: between wgmma_fence and wgmma_wait neither the sums nor A's registers may be touched, nor the shared memory written.
 * Fence and wait take the arrays that the products use, so that the compiler moves no access to them across.
 */
#pragma once

#include "device.cuh"

#ifdef GRAFT_EMULATE
#include "emulator/wgmma.h"
#else

namespace graft {

/* An address in shared memory as instructions take it. */
__device__ __forceinline__ uint32_t shared_address(const void *shared) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/* Shared memory that this thread wrote, by cp.async too, is seen by wgmma behind the next barrier. */
__device__ __forceinline__ void fence_async_proxy() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void pin(float &value) {
    asm volatile("" : "+f"(value)::"memory");
}

__device__ __forceinline__ void pin(uint32_t &value) {
    asm volatile("" : "+r"(value)::"memory");
}

template <class T, int N>
__device__ __forceinline__ void pin(T (&values)[N]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        pin(values[i]);
    }
}

/* Before the first product after these registers were written. */
template <class... Registers>
__device__ __forceinline__ void wgmma_fence(Registers &...registers) {
    (pin(registers), ...);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* Ends a group of products. */
__device__ __forceinline__ void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Waits until at most `Pending` of the latest groups are under way; these registers can be used then. */
template <int Pending, class... Registers>
__device__ __forceinline__ void wgmma_wait(Registers &...registers) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
    (pin(registers), ...);
}

#define GRAFT_SUMS_4(d, n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define GRAFT_SUMS_32(d, n)                                                                                                                \
    GRAFT_SUMS_4(d, n), GRAFT_SUMS_4(d, n + 1), GRAFT_SUMS_4(d, n + 2), GRAFT_SUMS_4(d, n + 3), GRAFT_SUMS_4(d, n + 4),                    \
        GRAFT_SUMS_4(d, n + 5), GRAFT_SUMS_4(d, n + 6), GRAFT_SUMS_4(d, n + 7)
#define GRAFT_OPERANDS_64  \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
#define GRAFT_OPERANDS_128  \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "

/* d[64, N] = a[64, 16] b[N, 16]^T, added to d where `accumulate`; bf16 in shared memory, described by `a` and `b`, float32 sums. Warp w of
 * the warpgroup holds rows 16 w to 16 w + 15, in d[n] columns 8 n to 8 n + 7 as mma_bf16 does. */
template <int N>
__device__ __forceinline__ void wgmma(float (&d)[N / 8][4], uint64_t a, uint64_t b, bool accumulate);

/* d[64, N] += a[64, 16] b[16, N]: a in registers, in mma_bf16's layout; b in shared memory with rows of N elements. */
template <int N>
__device__ __forceinline__ void wgmma_transposed(float (&d)[N / 8][4], const uint32_t (&a)[4], uint64_t b);

template <>
__device__ __forceinline__ void wgmma<64>(float (&d)[8][4], uint64_t a, uint64_t b, bool accumulate) {
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " GRAFT_OPERANDS_64
                 "%32, %33, add, 1, 1, 0, 0;\n}"
                 : GRAFT_SUMS_32(d, 0)
                 : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}

template <>
__device__ __forceinline__ void wgmma_transposed<64>(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("{\n.reg .pred add;\nsetp.eq.b32 add, 0, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " GRAFT_OPERANDS_64
                 "{%32, %33, %34, %35}, %36, add, 1, 1, 1;\n}"
                 : GRAFT_SUMS_32(d, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

template <>
__device__ __forceinline__ void wgmma<128>(float (&d)[16][4], uint64_t a, uint64_t b, bool accumulate) {
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " GRAFT_OPERANDS_128
                 "%64, %65, add, 1, 1, 0, 0;\n}"
                 : GRAFT_SUMS_32(d, 0), GRAFT_SUMS_32(d, 8)
                 : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}

template <>
__device__ __forceinline__ void wgmma_transposed<128>(float (&d)[16][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("{\n.reg .pred add;\nsetp.eq.b32 add, 0, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " GRAFT_OPERANDS_128
                 "{%64, %65, %66, %67}, %68, add, 1, 1, 1;\n}"
                 : GRAFT_SUMS_32(d, 0), GRAFT_SUMS_32(d, 8)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#undef GRAFT_OPERANDS_64
#undef GRAFT_OPERANDS_128
#undef GRAFT_SUMS_32
#undef GRAFT_SUMS_4

} // namespace graft

#endif
