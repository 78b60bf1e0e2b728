/* CUDA's vector types and its functions of one thread, in C++. Included by device.h. */
#pragma once

#include <math.h>

#include <cmath>
#include <cstdint>
#include <cstring>

/* ---- vector types */

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

constexpr float2 make_float2(float x, float y) {
    return {x, y};
}
constexpr float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
constexpr int2 make_int2(int x, int y) {
    return {x, y};
}
constexpr int4 make_int4(int x, int y, int z, int w) {
    return {x, y, z, w};
}
constexpr uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
}
constexpr uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}

/* ---- functions of one thread */

/* glibc declares these names for itself, so they cannot be functions. */
#define __expf(x) expf(x)
#define __exp10f(x) powf(10.0f, x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __powf(x, y) powf(x, y)

inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
inline float __frsqrt_rn(float x) {
    return 1.0f / sqrtf(x);
}
inline float __fsqrt_rn(float x) {
    return sqrtf(x);
}
inline float __frcp_rn(float x) {
    return 1.0f / x;
}
inline float __fdividef(float x, float y) {
    return x / y;
}
inline float __fdiv_rn(float x, float y) {
    return x / y;
}
inline float __fmaf_rn(float x, float y, float z) {
    return fmaf(x, y, z);
}
inline float __saturatef(float x) {
    return x > 0 ? (x < 1 ? x : 1) : 0;
}
/* Rounded by themselves: never contracted into a fused multiply-add. */
__attribute__((noinline)) inline float __fmul_rn(float x, float y) {
    return x * y;
}
__attribute__((noinline)) inline float __fadd_rn(float x, float y) {
    return x + y;
}
__attribute__((noinline)) inline float __fsub_rn(float x, float y) {
    return x - y;
}

inline unsigned __float_as_uint(float x) {
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
inline int __float_as_int(float x) {
    return static_cast<int>(__float_as_uint(x));
}
inline float __int_as_float(int bits) {
    return __uint_as_float(static_cast<unsigned>(bits));
}
inline int __float2int_rn(float x) {
    return static_cast<int>(nearbyintf(x));
}
inline float __int2float_rn(int x) {
    return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned x) {
    return static_cast<float>(x);
}

inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}
inline int __mulhi(int a, int b) {
    return static_cast<int>((static_cast<int64_t>(a) * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __clz(int x) {
    return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}

constexpr int min(int a, int b) {
    return a < b ? a : b;
}
constexpr int max(int a, int b) {
    return a > b ? a : b;
}
constexpr unsigned min(unsigned a, unsigned b) {
    return a < b ? a : b;
}
constexpr unsigned max(unsigned a, unsigned b) {
    return a > b ? a : b;
}
constexpr long min(long a, long b) {
    return a < b ? a : b;
}
constexpr long max(long a, long b) {
    return a > b ? a : b;
}
constexpr long long min(long long a, long long b) {
    return a < b ? a : b;
}
constexpr long long max(long long a, long long b) {
    return a > b ? a : b;
}
constexpr unsigned long min(unsigned long a, unsigned long b) {
    return a < b ? a : b;
}
constexpr unsigned long max(unsigned long a, unsigned long b) {
    return a > b ? a : b;
}
constexpr unsigned long long min(unsigned long long a, unsigned long long b) {
    return a < b ? a : b;
}
constexpr unsigned long long max(unsigned long long a, unsigned long long b) {
    return a > b ? a : b;
}
inline float min(float a, float b) {
    return fminf(a, b);
}
inline float max(float a, float b) {
    return fmaxf(a, b);
}

template <class T>
inline T __ldg(const T *address) {
    return *address;
}
template <class T>
inline T __ldcs(const T *address) {
    return *address;
}
template <class T>
inline void __stcs(T *address, T value) {
    *address = value;
}

inline void __threadfence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
inline void __threadfence_block() {}

/* Integers only: a sum of floats would depend on the order. */
inline int atomicAdd(int *address, int value) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
inline unsigned atomicAdd(unsigned *address, unsigned value) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
inline unsigned long long atomicAdd(unsigned long long *address, unsigned long long value) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
inline unsigned atomicOr(unsigned *address, unsigned value) {
    return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
inline int atomicExch(int *address, int value) {
    return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}
inline unsigned atomicExch(unsigned *address, unsigned value) {
    return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}
