/*
 * Tiles of bf16 rows in shared memory as wgmma reads them, swizzled by 128 bytes, and products on them.
 *
 * A tile of D columns (64 or 128) is D / 64 panels, one behind the other: all rows of 64 columns, 128 bytes a row. Chunk c (16 bytes) of
 * row r lies at place c ^ (r % 8) of its row, which is how the hardware finds it where a panel starts on 1024 bytes. One tile serves as
 * [rows, D] summed over D ("k-major") and as [D, rows] summed over rows ("mn-major"): Q K^T and dS^T Q read the same Q.
 *
 * Descriptors (PTX ISA, "Matrix descriptor"): address, leading and stride offset in units of 16 bytes, swizzle mode. k-major, the stride is
 * that between groups of eight rows (the leading offset says nothing and is 1 by convention), and the next sixteen columns lie 32 bytes on;
 * mn-major, the leading offset is that between panels, the stride that between groups of eight summed rows, and the next sixteen rows lie
 * 2048 bytes on.
 */
#pragma once

#include "mma_tile.cuh"
#include "wgmma.cuh"

namespace graft {

constexpr int WARPGROUP = 128;
constexpr int PANEL = 64;            /* columns */
constexpr int TILE_ALIGNMENT = 1024; /* bytes */

/* The block's shared memory, on a boundary where tiles can start. Takes up to TILE_ALIGNMENT bytes more. */
__device__ __forceinline__ bf16 *shared_tiles() {
    unsigned char *start = shared_memory<unsigned char>();
    return reinterpret_cast<bf16 *>(start + (-shared_address(start) & (TILE_ALIGNMENT - 1)));
}

/* ROWS rows of `cols` elements to a tile, asynchronously (the caller commits and waits); zeros beyond `rows` and `cols`. */
template <int D, int ROWS, int THREADS>
__device__ __forceinline__ void load_panels(bf16 *tile, const bf16 *source, int64_t pitch, int rows, int cols) {
    constexpr int CHUNKS = D / 8;
    constexpr int ROWS_AT_ONCE = THREADS / CHUNKS;
    static_assert(THREADS % CHUNKS == 0, "a thread copies the same columns of each of its rows");
    const int chunk = threadIdx.x % CHUNKS;
    const int first = threadIdx.x / CHUNKS;
    const bf16 *address = source + first * pitch + 8 * chunk;
    bf16 *panel = tile + chunk / 8 * ROWS * PANEL;
#pragma unroll
    for (int i = 0; i < ceil_div(ROWS, ROWS_AT_ONCE); i++) {
        const int row = first + i * ROWS_AT_ONCE;
        if (ROWS % ROWS_AT_ONCE == 0 || row < ROWS) {
            const bool valid = row < rows && 8 * chunk < cols;
            cp_async16(panel + tile_offset<PANEL>(row, chunk % 8), valid ? address : source, valid);
        }
        address += ROWS_AT_ONCE * pitch;
    }
}

/* What was loaded is there for wgmma, and nobody reads what was there before. */
__device__ __forceinline__ void tiles_loaded() {
    cp_async_wait<0>();
    fence_async_proxy();
    __syncthreads();
}

/* A descriptor; offsets in bytes. */
__device__ __forceinline__ uint64_t descriptor(const bf16 *start, uint32_t leading, uint32_t stride) {
    constexpr uint64_t SWIZZLE_128 = 1;
    return SWIZZLE_128 << 62 | static_cast<uint64_t>(stride >> 4) << 32 | static_cast<uint64_t>(leading >> 4) << 16 |
           (shared_address(start) & 0x3ffff) >> 4;
}

constexpr uint32_t EIGHT_ROWS = 8 * PANEL * sizeof(bf16);

/* Starts sum[64, N] = a b^T: the 64 rows of tile a (of A_ROWS) from `row`, and a tile b of N rows. */
template <int D, int A_ROWS, int N>
__device__ __forceinline__ void start_transposed(float (&sum)[N / 8][4], const bf16 *a, int row, const bf16 *b) {
    const uint64_t left = descriptor(a + row * PANEL, 16, EIGHT_ROWS);
    const uint64_t right = descriptor(b, 16, EIGHT_ROWS);
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        const int column = k % 4 * 2;                                             /* in the panel, in units of 16 bytes */
        constexpr int LEFT_PANEL = A_ROWS * PANEL * sizeof(bf16) / 16;
        constexpr int RIGHT_PANEL = N * PANEL * sizeof(bf16) / 16;
        wgmma<N>(sum, left + k / 4 * LEFT_PANEL + column, right + k / 4 * RIGHT_PANEL + column, k > 0);
    }
}

/* Starts sum[64, D] += weights[64, K] b: a tile b of K rows. */
template <int D, int K>
__device__ __forceinline__ void start_weighted(float (&sum)[D / 8][4], const uint32_t (&weights)[K / 16][4], const bf16 *b) {
    const uint64_t right = descriptor(b, K * PANEL * sizeof(bf16), EIGHT_ROWS);
#pragma unroll
    for (int k = 0; k < K / 16; k++) {
        wgmma_transposed<D>(sum, weights[k], right + k * (2 * EIGHT_ROWS / 16));
    }
}

/* A product's sums, rounded to bf16, as the next one's left operand. */
template <int K>
__device__ __forceinline__ void round_weights(uint32_t (&weights)[K / 16][4], const float (&sum)[K / 8][4]) {
#pragma unroll
    for (int k = 0; k < K / 16; k++) {
        weights[k][0] = pack_bf16(sum[2 * k][0], sum[2 * k][1]);
        weights[k][1] = pack_bf16(sum[2 * k][2], sum[2 * k][3]);
        weights[k][2] = pack_bf16(sum[2 * k + 1][0], sum[2 * k + 1][1]);
        weights[k][3] = pack_bf16(sum[2 * k + 1][2], sum[2 * k + 1][3]);
    }
}

} // namespace graft
