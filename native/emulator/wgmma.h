/* wgmma in C++: the half of native/src/wgmma.cuh that is for the host compiler. Included by it. */
#pragma once

#include "engine.h"

namespace graft {

inline uint32_t shared_address(const void *shared) {
    return emulator::shared_address(shared);
}

inline void fence_async_proxy() {
    emulator::fence_async_proxy();
}

template <class... Registers>
inline void wgmma_fence(Registers &...registers) {
    emulator::fence_products();
    (emulator::fence_registers(&registers, sizeof registers), ...);
}

inline void wgmma_commit() {
    emulator::commit_products();
}

template <int Pending, class... Registers>
inline void wgmma_wait(Registers &...) {
    emulator::wait_for_products(Pending, __builtin_FILE(), __builtin_LINE());
}

template <int N>
inline void wgmma(float (&d)[N / 8][4], uint64_t a, uint64_t b, bool accumulate) {
    emulator::start_product(&d[0][0], N, accumulate, nullptr, a, b, false);
}

template <int N>
inline void wgmma_transposed(float (&d)[N / 8][4], const uint32_t (&a)[4], uint64_t b) {
    emulator::start_product(&d[0][0], N, true, a, 0, b, true);
}

} // namespace graft
