#include "patterns.h"

#include <cstring>

namespace graft::emulator {

namespace {

uintptr_t number(const void *address) {
    return reinterpret_cast<uintptr_t>(address);
}

/* The byte that a pattern has at an address. */
unsigned char pattern_byte(const unsigned char *address, uint16_t pattern) {
    return static_cast<unsigned char>(number(address) % 2 == 0 ? pattern & 0xff : pattern >> 8);
}

} // namespace

void fill(unsigned char *bytes, size_t count, uint16_t pattern) {
    size_t i = 0;
    for (; i < count && number(bytes + i) % 2 != 0; i++) {
        bytes[i] = pattern_byte(bytes + i, pattern);
    }
    for (; i + 2 <= count; i += 2) {
        std::memcpy(bytes + i, &pattern, 2);
    }
    for (; i < count; i++) {
        bytes[i] = pattern_byte(bytes + i, pattern);
    }
}

size_t first_difference(const unsigned char *bytes, size_t count, uint16_t pattern) {
    constexpr size_t STEP = 64;
    unsigned char expected[STEP];
    fill(expected, STEP, pattern);
    size_t i = 0;
    if (number(bytes) % 2 == number(expected) % 2) {
        while (i + STEP <= count && std::memcmp(bytes + i, expected, STEP) == 0) {
            i += STEP;
        }
    }
    while (i < count && bytes[i] == pattern_byte(bytes + i, pattern)) {
        i++;
    }
    return i;
}

uint64_t checksum(const unsigned char *bytes, size_t count) {
    uint64_t sums[4] = {1, 2, 3, 4};
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        for (int lane = 0; lane < 4; lane++) {
            uint64_t word;
            std::memcpy(&word, bytes + i + 8 * lane, 8);
            sums[lane] = (sums[lane] ^ word) * 0x9e3779b97f4a7c15u;
            sums[lane] ^= sums[lane] >> 29;
        }
    }
    for (; i < count; i++) {
        sums[0] = (sums[0] ^ bytes[i]) * 0x100000001b3u;
    }
    return ((sums[0] * 3 + sums[1]) * 3 + sums[2]) * 3 + sums[3];
}

} // namespace graft::emulator
