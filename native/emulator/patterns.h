/* What fills memory that nobody should use: all of it NaNs, as float and as bfloat16, so that what is read shows too. */
#pragma once

#include <cstddef>
#include <cstdint>

namespace graft::emulator {

/* Fresh device memory and a block's shared memory at its start; -1 as integer. */
constexpr unsigned char POISON = 0xff;

/* 16-bit patterns: around allocations and shared memory, and what was freed. */
constexpr uint16_t GUARD_PATTERN = 0x7fe5;
constexpr uint16_t FREED_PATTERN = 0x7fde;

/* Bytes before and after what they guard. */
constexpr size_t GUARD_BYTES = 256;

void fill(unsigned char *bytes, size_t count, uint16_t pattern);

/* The first byte that is not the pattern's, or count. */
size_t first_difference(const unsigned char *bytes, size_t count, uint16_t pattern);

/* Differs where the bytes do, but for chance. */
uint64_t checksum(const unsigned char *bytes, size_t count);

} // namespace graft::emulator
