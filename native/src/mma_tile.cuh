/*
 * Tiles of bf16 rows in shared memory, and the products of the tensor cores on them.
 *
 * A tile has D columns (64, 128 or 256); a row is D / 8 chunks of 16 bytes. Chunk c of row r lies at place c ^ (r % 8): the eight rows
 * that an ldmatrix reads at the same chunk, 2 D bytes apart, then lie on eight different groups of four banks, and so do a row's own
 * chunks. No padding and no bank conflicts.
 *
 * One assignment of lanes to rows serves every operand: lane l gives row l % 16, chunk l / 16 of a 16x16 block. ldmatrix then returns
 * the block's quarters top left, bottom left, top right, bottom right: A's fragment as it is; of B^T (rows are columns of the
 * product) the pairs (0, 2) and (1, 3); transposed, of B (rows are summed over) the pairs (0, 1) and (2, 3).
 */
#pragma once

#include "device.cuh"

namespace graft {

/* Where chunk `chunk` of row `row` starts, in elements. */
template <int D>
__device__ __forceinline__ int tile_offset(int row, int chunk) {
    return row * D + ((chunk ^ (row & 7)) << 3);
}

/* This lane's row and chunk of the 16x16 block at the origin; adding 16 D i steps i blocks down. */
template <int D>
__device__ __forceinline__ int lane_offset() {
    const int lane = threadIdx.x % WARP;
    return tile_offset<D>(lane & 15, lane >> 4);
}

/* `offset` moved j blocks right. Swizzling stays within eight chunks, so four registers and constants serve all j. */
__device__ __forceinline__ int blocks_right(int offset, int j) {
    return (offset ^ (16 * (j % 4))) + 64 * (j / 4);
}

/* ROWS rows of `cols` elements to a tile, zeros beyond `rows` and `cols`. `packed`: asynchronously (the caller commits and waits);
 * otherwise element by element, for addresses that cp.async cannot read. */
template <int D, int ROWS, int THREADS>
__device__ __forceinline__ void load_tile(bf16 *tile, const bf16 *source, int64_t pitch, int rows, int cols, bool packed) {
    constexpr int CHUNKS = D / 8;
    static_assert(ROWS * CHUNKS % THREADS == 0 && THREADS % CHUNKS == 0, "every thread copies alike");
    const int chunk = threadIdx.x % CHUNKS;
    const int first = threadIdx.x / CHUNKS;
    if (packed) {
        const bf16 *address = source + first * pitch + 8 * chunk;
#pragma unroll
        for (int i = 0; i < ROWS * CHUNKS / THREADS; i++) {
            const int row = first + i * (THREADS / CHUNKS);
            const bool valid = row < rows && 8 * chunk < cols;
            cp_async16(tile + tile_offset<D>(row, chunk), valid ? address : source, valid);
            address += THREADS / CHUNKS * pitch;
        }
        return;
    }
#pragma unroll 1
    for (int row = first; row < ROWS; row += THREADS / CHUNKS) {
        Words words;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int col = 8 * chunk + 2 * i;
            const bf16 *pair = source + row * pitch + col;
            const uint32_t low = row < rows && col < cols ? pair[0].bits : 0;
            const uint32_t high = row < rows && col + 1 < cols ? pair[1].bits : 0;
            words.word[i] = low | high << 16;
        }
        store16(tile + tile_offset<D>(row, chunk), words);
    }
}

/* Which element of a warp's sums [16 M, 8 N] this lane's sum [m][n][i] is. */
__device__ __forceinline__ int sum_row(int m, int i) {
    return 16 * m + 8 * (i / 2) + static_cast<int>(threadIdx.x % WARP) / 4;
}

__device__ __forceinline__ int sum_column(int n, int i) {
    return 8 * n + 2 * static_cast<int>(threadIdx.x % 4) + i % 2;
}

/* sum[m][n][i] = f(m, n, i) for all of this lane's sums. */
template <int M, int N, class F>
__device__ __forceinline__ void set_sums(float (&sum)[M][N][4], F f) {
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int n = 0; n < N; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                sum[m][n][i] = f(m, n, i);
            }
        }
    }
}

template <int M, int N>
__device__ __forceinline__ void clear(float (&sum)[M][N][4]) {
    set_sums(sum, [](int, int, int) { return 0.0f; });
}

/* sum[16 M, 16 N] += a[16 M, D] b[16 N, D]^T, both tiles of D columns. */
template <int D, int M, int N>
__device__ __forceinline__ void multiply_transposed(float (&sum)[M][2 * N][4], const bf16 *a, const bf16 *b) {
    const int offset = lane_offset<D>();
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        uint32_t left[M][4];
#pragma unroll
        for (int m = 0; m < M; m++) {
            ldmatrix_x4(left[m], a + blocks_right(offset, k) + 16 * D * m);
        }
#pragma unroll
        for (int n = 0; n < N; n++) {
            uint32_t right[4];
            ldmatrix_x4(right, b + blocks_right(offset, k) + 16 * D * n);
            const uint32_t even[2] = {right[0], right[2]};
            const uint32_t odd[2] = {right[1], right[3]};
#pragma unroll
            for (int m = 0; m < M; m++) {
                mma_bf16(sum[m][2 * n], left[m], even);
                mma_bf16(sum[m][2 * n + 1], left[m], odd);
            }
        }
    }
}

/* sum[16 M, COLUMNS] += weights[16 M, 16 K] b[16 K, D], of b the COLUMNS from `from` (a multiple of 64). The weights are sums of an
 * earlier product, rounded to bf16: the layouts of a product's sums and of the next one's left operand agree, so they never leave the
 * registers. */
template <int D, int M, int K, int COLUMNS>
__device__ __forceinline__ void multiply_weights(float (&sum)[M][COLUMNS / 8][4], const float (&weights)[M][2 * K][4], const bf16 *b,
                                                 int from) {
    const int offset = lane_offset<D>();
#pragma unroll
    for (int k = 0; k < K; k++) {
        uint32_t left[M][4];
#pragma unroll
        for (int m = 0; m < M; m++) {
            const float(&even)[4] = weights[m][2 * k];
            const float(&odd)[4] = weights[m][2 * k + 1];
            left[m][0] = pack_bf16(even[0], even[1]);
            left[m][1] = pack_bf16(even[2], even[3]);
            left[m][2] = pack_bf16(odd[0], odd[1]);
            left[m][3] = pack_bf16(odd[2], odd[3]);
        }
#pragma unroll
        for (int n = 0; n < COLUMNS / 16; n++) {
            uint32_t right[4];
            ldmatrix_x4_transposed(right, b + from + blocks_right(offset, n) + 16 * D * k);
            const uint32_t even[2] = {right[0], right[1]};
            const uint32_t odd[2] = {right[2], right[3]};
#pragma unroll
            for (int m = 0; m < M; m++) {
                mma_bf16(sum[m][2 * n], left[m], even);
                mma_bf16(sum[m][2 * n + 1], left[m], odd);
            }
        }
    }
}

/* A warp's sums [16 M, COLUMNS], rounded to bf16, to the first `rows` rows and `cols` columns at `destination`. They pass through
 * `staging`, 16 M COLUMNS elements of shared memory that no other warp uses, so that whole 16-byte chunks are written. */
template <int M, int COLUMNS>
__device__ __forceinline__ void store_sums(const float (&sum)[M][COLUMNS / 8][4], bf16 *staging, bf16 *destination, int64_t pitch,
                                           int rows, int cols, bool packed) {
    const int lane = threadIdx.x % WARP;
    __syncwarp();
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; n++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = 16 * m + 8 * half + lane / 4;
                uint32_t *pair = reinterpret_cast<uint32_t *>(staging + tile_offset<COLUMNS>(row, n) + 2 * (lane % 4));
                *pair = pack_bf16(sum[m][n][2 * half], sum[m][n][2 * half + 1]);
            }
        }
    }
    __syncwarp();
    constexpr int CHUNKS = COLUMNS / 8;
    for (int i = lane; i < 16 * M * CHUNKS; i += WARP) {
        const int row = i / CHUNKS;
        const int chunk = i % CHUNKS;
        if (row >= rows) {
            break;
        }
        const bf16 *source = staging + tile_offset<COLUMNS>(row, chunk);
        bf16 *target = destination + row * pitch + 8 * chunk;
        if (packed) {
            if (8 * chunk < cols) {
                store16(target, load16(source));
            }
        } else {
            for (int e = 0; e < 8 && 8 * chunk + e < cols; e++) {
                target[e] = source[e];
            }
        }
    }
}

} // namespace graft
