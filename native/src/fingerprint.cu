/*
 * A fingerprint of a matrix's bytes: *result = sum over its 8-byte little-endian words w_i, counted through the rows without the gaps
 * between them, of mix(w_i + (i + 1) * GOLDEN) mod 2^64, mix being SplitMix64's finaliser (Steele et al., 2014).
 *
 * Words are strided over eight blocks for each multiprocessor; a block adds up its words in shared memory and adds the sum to *result
 * atomically, which integers allow: any order gives the same value. A word of a row that starts on no 8-byte boundary, or whose
 * length is no multiple of 8, is put together byte by byte.
 */
#include "runs.cuh"

namespace graft {

namespace {

constexpr int THREADS = 256;
constexpr uint64_t GOLDEN = 0x9E3779B97F4A7C15ull;

struct Bytes {
    const unsigned char *start;
    int64_t row_bytes;
    int64_t pitch_bytes;
    int64_t rows;

    int64_t count() const {
        return rows * row_bytes;
    }

    /* Rows back to back are one row. */
    bool is_one_row() const {
        return rows == 1 || pitch_bytes == row_bytes;
    }

    bool has_aligned_words() const {
        const bool rows_fit = is_one_row() || (row_bytes % 8 == 0 && pitch_bytes % 8 == 0);
        return reinterpret_cast<uintptr_t>(start) % 8 == 0 && rows_fit;
    }
};

__device__ __forceinline__ uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

/* Word i; the last one is padded with zeros. */
__device__ __forceinline__ uint64_t word_at(const Bytes &bytes, int64_t i, bool aligned) {
    const int64_t first = 8 * i;
    const int64_t count = bytes.rows * bytes.row_bytes;
    int64_t row = bytes.rows == 1 ? 0 : first / bytes.row_bytes; // a division of 64 bits costs more than reading the word
    int64_t col = first - row * bytes.row_bytes;
    if (aligned && first + 8 <= count) {
        return *reinterpret_cast<const uint64_t *>(bytes.start + row * bytes.pitch_bytes + col);
    }
    uint64_t word = 0;
    for (int byte = 0; byte < 8 && first + byte < count; byte++) {
        word |= static_cast<uint64_t>(bytes.start[row * bytes.pitch_bytes + col]) << (8 * byte);
        if (++col == bytes.row_bytes) {
            col = 0;
            row++;
        }
    }
    return word;
}

__global__ void zero_result(unsigned long long *result) {
    *result = 0;
}

__global__ void fingerprint_kernel(Bytes bytes, bool aligned, unsigned long long *result) {
    uint64_t *sums = shared_memory<uint64_t>();
    const int64_t words = ceil_div<int64_t>(bytes.rows * bytes.row_bytes, 8);
    uint64_t sum = 0;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x; i < words; i += static_cast<int64_t>(gridDim.x) * THREADS) {
        sum += mix(word_at(bytes, i, aligned) + static_cast<uint64_t>(i + 1) * GOLDEN);
    }
    sums[threadIdx.x] = sum;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (static_cast<int>(threadIdx.x) < half) {
            sums[threadIdx.x] += sums[threadIdx.x + half];
        }
    }
    if (threadIdx.x == 0) {
        atomicAdd(result, static_cast<unsigned long long>(sums[0]));
    }
}

} // namespace

} // namespace graft

int32_t graft_fingerprint(void *stream, const void *start, int64_t row_bytes, int64_t pitch_bytes, int64_t rows, uint64_t *result) {
    using namespace graft;
    Bytes bytes{static_cast<const unsigned char *>(start), row_bytes, pitch_bytes, rows};
    const bool aligned = bytes.has_aligned_words();
    if (bytes.is_one_row()) {
        bytes = {bytes.start, bytes.count(), bytes.count(), 1};
    }
    auto *sum = reinterpret_cast<unsigned long long *>(result);
    const int32_t status = launch("fingerprint", zero_result, dim3(1), dim3(1), 0, stream, sum);
    if (status != GRAFT_OK) {
        return status;
    }
    const int64_t blocks = std::min<int64_t>(8 * multiprocessors(), ceil_div<int64_t>(bytes.count(), 8 * THREADS));
    return launch("fingerprint", fingerprint_kernel, dim3(static_cast<unsigned>(blocks)), dim3(THREADS), THREADS * sizeof(uint64_t),
                  stream, bytes, aligned, sum);
}
