/*
 * CUDA C++ as kernels use it, in C++: the half of native/src/device.cuh that is for the host compiler. Included by it.
 */
#pragma once

#include <cstdint>
#include <cstring>

#include "engine.h"
#include "functions.h"

/* ---- the language */

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) alignas(n)

#define threadIdx (graft::emulator::current->index)
#define blockIdx (graft::emulator::current->block->index)
#define blockDim (graft::emulator::current->block->size)
#define gridDim (graft::emulator::current->block->grid)
#define warpSize 32

/* ---- barriers; the defaults name the place in the kernel */

#define GRAFT_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(GRAFT_SITE) {
    graft::emulator::wait_for_block(file, line);
}

namespace graft::emulator {

inline void check_mask(unsigned mask, const char *what) {
    if (__builtin_expect(mask != 0xffffffffu, 0)) {
        abort_launch("%s with the mask 0x%08x: only whole warps are allowed", what, mask);
    }
}

template <class T>
inline T shuffle(unsigned mask, T value, int source, const char *what, const char *file, int line) {
    static_assert(sizeof(T) == 4, "shuffles move 4 bytes");
    check_mask(mask, what);
    Thread *self = current;
    Warp *warp = self->warp;
    std::memcpy(&warp->value[self->lane], &value, sizeof value);
    warp->source[self->lane] = static_cast<uint32_t>(source);
    wait_for_warp(what, complete_shuffle, file, line);
    std::memcpy(&value, &warp->result[self->lane], sizeof value);
    return value;
}

inline uint32_t ballot(unsigned mask, int predicate, const char *what, const char *file, int line) {
    check_mask(mask, what);
    Thread *self = current;
    self->warp->value[self->lane] = predicate != 0;
    wait_for_warp(what, complete_ballot, file, line);
    return self->warp->result[0];
}

/* The first lane of this lane's segment of `width` lanes. */
inline int segment(int lane, int width) {
    return lane & ~(width - 1);
}

} // namespace graft::emulator

inline void __syncwarp(unsigned mask = 0xffffffffu, GRAFT_SITE) {
    graft::emulator::check_mask(mask, "__syncwarp");
    graft::emulator::wait_for_warp("__syncwarp", graft::emulator::complete_sync, file, line);
}

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, GRAFT_SITE) {
    const int from = graft::emulator::segment(graft::emulator::current->lane, width) + (source & (width - 1));
    return graft::emulator::shuffle(mask, value, from, "__shfl_sync", file, line);
}

template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, GRAFT_SITE) {
    const int lane = graft::emulator::current->lane;
    const int from = lane ^ bits;
    const bool inside = from < graft::emulator::segment(lane, width) + width;
    return graft::emulator::shuffle(mask, value, inside ? from : lane, "__shfl_xor_sync", file, line);
}

template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, GRAFT_SITE) {
    const int lane = graft::emulator::current->lane;
    const int from = lane + static_cast<int>(delta);
    const bool inside = from < graft::emulator::segment(lane, width) + width;
    return graft::emulator::shuffle(mask, value, inside ? from : lane, "__shfl_down_sync", file, line);
}

template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, GRAFT_SITE) {
    const int lane = graft::emulator::current->lane;
    const int from = lane - static_cast<int>(delta);
    const bool inside = from >= graft::emulator::segment(lane, width);
    return graft::emulator::shuffle(mask, value, inside ? from : lane, "__shfl_up_sync", file, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, GRAFT_SITE) {
    return graft::emulator::ballot(mask, predicate, "__ballot_sync", file, line);
}
inline int __any_sync(unsigned mask, int predicate, GRAFT_SITE) {
    return graft::emulator::ballot(mask, predicate, "__any_sync", file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, GRAFT_SITE) {
    return graft::emulator::ballot(mask, predicate, "__all_sync", file, line) == 0xffffffffu;
}

namespace graft {

/* ---- launching */

template <class... Parameters, class... Arguments>
int32_t launch(const char *operation, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, void *stream,
               Arguments... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) {
        return GRAFT_OK;
    }
    const auto call = [=] { kernel(static_cast<Parameters>(arguments)...); };
    using Call = decltype(call);
    const emulator::Launch launched{operation, [](const void *closure) { (*static_cast<Call *>(closure))(); }, &call, grid, block,
                                    shared_bytes, stream,
                                    [](const void *closure) -> const void * { return new Call(*static_cast<Call *>(closure)); },
                                    [](const void *closure) { delete static_cast<Call *>(closure); }};
    return emulator::run_launch(launched) == 0 ? GRAFT_OK : fail(GRAFT_CUDA_ERROR, operation, emulator::launch_error());
}

inline int multiprocessors() {
    return emulator::emulated_multiprocessors();
}

/* ---- shared memory */

template <class T>
inline T *shared_memory() {
    return reinterpret_cast<T *>(emulator::current->block->shared);
}

/* ---- bfloat16 and bits */

inline uint32_t float_bits(float value) {
    return __float_as_uint(value);
}
inline float bits_float(uint32_t bits) {
    return __uint_as_float(bits);
}

inline float to_float(bf16 value) {
    return bits_float(static_cast<uint32_t>(value.bits) << 16);
}

/* To nearest even. A NaN becomes 0x7fff, as cvt.rn.bf16.f32 does. */
inline bf16 to_bf16(float value) {
    const uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return {0x7fff};
    }
    return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

inline uint32_t pack_bf16(float low, float high) {
    return to_bf16(low).bits | static_cast<uint32_t>(to_bf16(high).bits) << 16;
}

inline float half_to_float(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t exponent = bits >> 10 & 0x1fu;
    const uint32_t mantissa = bits & 0x3ffu;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return bits_float(sign | float_bits(magnitude));
    }
    return bits_float(sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13);
}

/* ---- 16-byte accesses */

namespace emulator {

inline void check_aligned(const void *address, const char *what) {
    if (__builtin_expect(reinterpret_cast<uintptr_t>(address) % 16 != 0, 0)) {
        abort_launch("misaligned address: %s of %p, which is not on a 16-byte boundary", what, address);
    }
}

} // namespace emulator

inline Words load16(const void *address) {
    emulator::check_aligned(address, "load16");
    Words words;
    std::memcpy(&words, address, sizeof words);
    return words;
}

inline Words load16_readonly(const void *address) {
    emulator::check_aligned(address, "load16_readonly");
    Words words;
    std::memcpy(&words, address, sizeof words);
    return words;
}

inline void store16(void *address, const Words &words) {
    emulator::check_aligned(address, "store16");
    std::memcpy(address, &words, sizeof words);
}

inline void cp_async16(void *shared, const void *global, bool valid) {
    emulator::start_copy(shared, global, valid);
}

inline void cp_async_commit() {
    emulator::commit_copies();
}

template <int Pending>
inline void cp_async_wait() {
    emulator::wait_for_copies(Pending);
}

/* ---- tensor cores */

inline void ldmatrix_x4(uint32_t (&matrices)[4], const void *row, GRAFT_SITE) {
    emulator::Thread *self = emulator::current;
    self->warp->row[self->lane] = row;
    emulator::wait_for_warp("ldmatrix_x4", emulator::complete_ldmatrix, file, line);
    std::memcpy(matrices, self->warp->matrices[self->lane], sizeof matrices);
}

inline void ldmatrix_x4_transposed(uint32_t (&matrices)[4], const void *row, GRAFT_SITE) {
    emulator::Thread *self = emulator::current;
    self->warp->row[self->lane] = row;
    emulator::wait_for_warp("ldmatrix_x4_transposed", emulator::complete_ldmatrix_transposed, file, line);
    std::memcpy(matrices, self->warp->matrices[self->lane], sizeof matrices);
}

inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], GRAFT_SITE) {
    emulator::Thread *self = emulator::current;
    auto &product = self->warp->product[self->lane];
    std::memcpy(product.a, a, sizeof a);
    std::memcpy(product.b, b, sizeof b);
    std::memcpy(product.d, d, sizeof d);
    emulator::wait_for_warp("mma_bf16", emulator::complete_mma, file, line);
    std::memcpy(d, product.d, sizeof d);
}

} // namespace graft
