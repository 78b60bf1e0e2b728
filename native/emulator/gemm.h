/* Matrix products on the CPU, column-major as BLAS has them. */
#pragma once

#include <cstdint>

namespace graft::emulator {

enum class Type { F32, BF16 };

constexpr int64_t type_bytes(Type type) {
    return type == Type::F32 ? 4 : 2;
}

/* A matrix in memory; transposed: what is meant is its transpose. */
struct Matrix {
    const void *data;
    int64_t leading;
    Type type;
    bool transposed;
};

/*
 * c[m, n] = alpha a[m, k] b[k, n] + beta c, with float sums in the order of k. With tf32, floats are rounded to TF32 first. c is not
 * read where beta is 0; a and b are not where alpha or k is.
 */
void multiply(int64_t m, int64_t n, int64_t k, float alpha, const Matrix &a, const Matrix &b, float beta, void *c, int64_t c_leading,
              Type c_type, bool tf32);

} // namespace graft::emulator
