/*
 * Panels of a (16 rows) and b (6 columns) are packed as floats, so that the inner loop is twelve vector multiply-adds a step of k with
 * all sums in registers. b is packed whole for a block of columns, a for a block of rows; k is not split.
 */
#include "gemm.h"

#include <cstring>
#include <vector>

namespace graft::emulator {

namespace {

constexpr int64_t ROWS = 16, COLS = 6; /* of a tile */
constexpr int64_t BLOCK_COLS = 96;

typedef float Vector __attribute__((vector_size(32)));

float bits_to_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

uint32_t float_to_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

float load(const void *data, int64_t index, Type type) {
    if (type == Type::F32) {
        return static_cast<const float *>(data)[index];
    }
    return bits_to_float(static_cast<uint32_t>(static_cast<const uint16_t *>(data)[index]) << 16);
}

void store(void *data, int64_t index, Type type, float value) {
    if (type == Type::F32) {
        static_cast<float *>(data)[index] = value;
        return;
    }
    const uint32_t bits = float_to_bits(value);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    static_cast<uint16_t *>(data)[index] = static_cast<uint16_t>(nan ? 0x7fff : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* To nearest even with ten bits after the point. */
float round_to_tf32(float value) {
    const uint32_t bits = float_to_bits(value);
    if ((bits & 0x7f800000u) == 0x7f800000u) {
        return value;
    }
    return bits_to_float((bits + 0xfffu + (bits >> 13 & 1u)) & 0xffffe000u);
}

/*
 * to[k][width] = the matrix's rows first..first + width, of which only `present` exist, the rest 0. `along` is whether those rows lie
 * one after another in memory, k leading apart.
 */
template <Type TYPE>
void pack(const Matrix &matrix, bool along, int64_t first, int64_t present, int64_t width, int64_t depth, bool tf32, float *to) {
    std::memset(to, 0, static_cast<size_t>(width * depth) * sizeof(float));
    if (along) {
        for (int64_t k = 0; k < depth; k++) {
            for (int64_t i = 0; i < present; i++) {
                to[k * width + i] = load(matrix.data, k * matrix.leading + first + i, TYPE);
            }
        }
    } else {
        for (int64_t i = 0; i < present; i++) {
            for (int64_t k = 0; k < depth; k++) {
                to[k * width + i] = load(matrix.data, (first + i) * matrix.leading + k, TYPE);
            }
        }
    }
    if (tf32 && TYPE == Type::F32) {
        for (int64_t i = 0; i < width * depth; i++) {
            to[i] = round_to_tf32(to[i]);
        }
    }
}

void pack(const Matrix &matrix, bool along, int64_t first, int64_t present, int64_t width, int64_t depth, bool tf32, float *to) {
    if (matrix.type == Type::F32) {
        pack<Type::F32>(matrix, along, first, present, width, depth, tf32, to);
    } else {
        pack<Type::BF16>(matrix, along, first, present, width, depth, tf32, to);
    }
}

/* sums[col][row] = the product of two panels. */
void multiply_panels(const float *a, const float *b, int64_t depth, float (&sums)[COLS][ROWS]) {
    Vector low[COLS] = {}, high[COLS] = {};
    for (int64_t k = 0; k < depth; k++) {
        Vector first, second;
        std::memcpy(&first, a + k * ROWS, sizeof first);
        std::memcpy(&second, a + k * ROWS + ROWS / 2, sizeof second);
#pragma GCC unroll 6
        for (int col = 0; col < COLS; col++) {
            const float factor = b[k * COLS + col];
            low[col] += first * factor;
            high[col] += second * factor;
        }
    }
    for (int col = 0; col < COLS; col++) {
        std::memcpy(sums[col], &low[col], sizeof low[col]);
        std::memcpy(sums[col] + ROWS / 2, &high[col], sizeof high[col]);
    }
}

int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

} // namespace

void multiply(int64_t m, int64_t n, int64_t k, float alpha, const Matrix &a, const Matrix &b, float beta, void *c, int64_t c_leading,
              Type c_type, bool tf32) {
    const int64_t depth = alpha == 0 ? 0 : k;
    static thread_local std::vector<float> packed_a, packed_b;
    packed_a.resize(static_cast<size_t>(ROWS * depth));
    packed_b.resize(static_cast<size_t>(BLOCK_COLS * depth));
    for (int64_t block = 0; block < n; block += BLOCK_COLS) {
        const int64_t block_end = smaller(n, block + BLOCK_COLS);
        for (int64_t col = block; col < block_end; col += COLS) {
            pack(b, b.transposed, col, smaller(COLS, n - col), COLS, depth, tf32, packed_b.data() + (col - block) * depth);
        }
        for (int64_t row = 0; row < m; row += ROWS) {
            const int64_t rows = smaller(ROWS, m - row);
            pack(a, !a.transposed, row, rows, ROWS, depth, tf32, packed_a.data());
            for (int64_t col = block; col < block_end; col += COLS) {
                float sums[COLS][ROWS];
                multiply_panels(packed_a.data(), packed_b.data() + (col - block) * depth, depth, sums);
                for (int64_t j = 0; j < smaller(COLS, n - col); j++) {
                    for (int64_t i = 0; i < rows; i++) {
                        const int64_t at = (col + j) * c_leading + row + i;
                        const float product = alpha * sums[j][i];
                        store(c, at, c_type, beta == 0 ? product : product + beta * load(c, at, c_type));
                    }
                }
            }
        }
    }
}

} // namespace graft::emulator
