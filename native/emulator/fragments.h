/* How the lanes of a warp hold the left operand of a product, the same for mma.m16n8k16 and wgmma. */
#pragma once

#include <cstdint>
#include <cstring>

namespace graft::emulator {

inline float from_bf16(uint32_t bits) {
    bits <<= 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

/* This lane's share of a [16 rows, 16]: see mma_bf16 in native/src/device.cuh. */
inline void place_left(float (&a)[16][16], int lane, const uint32_t *registers) {
    const int g = lane / 4;
    const int t = 2 * (lane % 4);
    for (int half = 0; half < 2; half++) {
        const int shift = 16 * half;
        a[g][t + half] = from_bf16(registers[0] >> shift & 0xffffu);
        a[g + 8][t + half] = from_bf16(registers[1] >> shift & 0xffffu);
        a[g][t + 8 + half] = from_bf16(registers[2] >> shift & 0xffffu);
        a[g + 8][t + 8 + half] = from_bf16(registers[3] >> shift & 0xffffu);
    }
}

} // namespace graft::emulator
