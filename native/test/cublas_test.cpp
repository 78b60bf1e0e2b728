/* The emulated cuBLAS against products in double, and what it refuses. */
#include <chrono>
#include <cmath>
#include <cstring>
#include <vector>

#include "check.h"
#include "device.cuh"
#include "driver_api.h"
#include "emulator/control.h"

using namespace graft;
using namespace test;

namespace {

constexpr int FULL_REDUCTIONS = 16; /* CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION */

void *handle;

uint64_t device_bytes(const std::vector<uint8_t> &bytes) {
    uint64_t address;
    CHECK(cuMemAlloc_v2(&address, bytes.size()) == 0);
    CHECK(cuMemcpyHtoDAsync_v2(address, bytes.data(), bytes.size(), nullptr) == 0);
    return address;
}

void *pointer(uint64_t address) {
    return reinterpret_cast<void *>(address);
}

/* Numbers of one type on the host and on the device, with what they are after rounding. */
struct Numbers {
    int type;
    std::vector<double> value;
    uint64_t address;

    Numbers(int type_, size_t count, unsigned seed) : type(type_), value(count) {
        std::vector<uint8_t> bytes(count * size() + 4); /* never empty */
        for (size_t i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            float number = static_cast<float>(seed >> 8) * 0x1p-23f - 1;
            if (type == R_BF16) {
                const bf16 rounded = to_bf16(number);
                number = to_float(rounded);
                std::memcpy(&bytes[2 * i], &rounded, 2);
            } else {
                std::memcpy(&bytes[4 * i], &number, 4);
            }
            value[i] = number;
        }
        address = device_bytes(bytes);
    }
    ~Numbers() { CHECK(cuMemFree_v2(address) == 0); }

    size_t size() const { return type == R_BF16 ? 2 : 4; }

    std::vector<double> now() const {
        std::vector<uint8_t> bytes(value.size() * size());
        CHECK(cuMemcpyDtoHAsync_v2(bytes.data(), address, bytes.size(), nullptr) == 0);
        std::vector<double> numbers(value.size());
        for (size_t i = 0; i < numbers.size(); i++) {
            float number;
            if (type == R_BF16) {
                bf16 stored;
                std::memcpy(&stored, &bytes[2 * i], 2);
                number = to_float(stored);
            } else {
                std::memcpy(&number, &bytes[4 * i], 4);
            }
            numbers[i] = number;
        }
        return numbers;
    }
};

struct Shape {
    int m, n, k;
};

/* One product with pads in all leading dimensions; what lies in the pads of c must stay. */
void check_product(const Shape &s, bool ta, bool tb, int ab_type, int c_type, float alpha, float beta, int compute) {
    const int a_rows = ta ? s.k : s.m, a_cols = ta ? s.m : s.k;
    const int b_rows = tb ? s.n : s.k, b_cols = tb ? s.k : s.n;
    const int lda = a_rows + 3, ldb = b_rows + 1, ldc = s.m + 2;
    const Numbers a(ab_type, static_cast<size_t>(lda) * a_cols, 1);
    const Numbers b(ab_type, static_cast<size_t>(ldb) * b_cols, 2);
    const Numbers c(c_type, static_cast<size_t>(ldc) * s.n, 3);
    CHECK(cublasGemmEx(handle, ta, tb, s.m, s.n, s.k, &alpha, pointer(a.address), ab_type, lda, pointer(b.address), ab_type, ldb, &beta,
                       pointer(c.address), c_type, ldc, compute, -1) == 0);
    const std::vector<double> out = c.now();
    const double rounding = c_type == R_BF16 ? 0x1p-8 : compute == COMPUTE_32F_FAST_TF32 ? 0x1p-10 : 0x1p-22;
    bool right = true;
    for (int j = 0; j < s.n; j++) {
        for (int i = 0; i < ldc; i++) {
            const size_t at = static_cast<size_t>(j) * ldc + i;
            double expected = c.value[at];
            double bound = 0;
            if (i < s.m) {
                double sum = 0, size = 0;
                for (int k = 0; k < s.k; k++) {
                    const double p = a.value[ta ? i * lda + k : k * lda + i] * b.value[tb ? k * ldb + j : j * ldb + k];
                    sum += p;
                    size += std::fabs(p);
                }
                expected = alpha * sum + static_cast<double>(beta) * c.value[at];
                bound = rounding * (std::fabs(static_cast<double>(alpha)) * size + std::fabs(expected) + 1e-3);
            }
            right = right && std::fabs(out[at] - expected) <= bound;
        }
    }
    if (!right) {
        std::fprintf(stderr, "m %d n %d k %d ta %d tb %d types %d %d alpha %g beta %g compute %d\n", s.m, s.n, s.k, ta, tb, ab_type, c_type,
                     static_cast<double>(alpha), static_cast<double>(beta), compute);
    }
    CHECK(right);
}

void products_are_right() {
    const Shape shapes[] = {{1, 1, 1}, {16, 6, 8}, {17, 7, 33}, {5, 101, 3}, {64, 13, 40}, {3, 2, 0}};
    for (const Shape &shape : shapes) {
        for (int ops = 0; ops < 4; ops++) {
            for (float beta : {0.0f, 1.0f, -0.5f}) {
                check_product(shape, ops & 1, ops & 2, R_32F, R_32F, 1, beta, COMPUTE_32F);
                check_product(shape, ops & 1, ops & 2, R_32F, R_32F, 0.75f, beta, COMPUTE_32F_FAST_TF32);
                check_product(shape, ops & 1, ops & 2, R_BF16, R_32F, 1, beta, COMPUTE_32F);
                check_product(shape, ops & 1, ops & 2, R_BF16, R_BF16, -2, beta, COMPUTE_32F);
            }
        }
    }
}

void results_are_the_same_each_time() {
    const Numbers a(R_32F, 64 * 64, 1), b(R_32F, 64 * 64, 2), c(R_32F, 64 * 64, 3), d(R_32F, 64 * 64, 4);
    const float one = 1, zero = 0;
    for (const Numbers *to : {&c, &d}) {
        CHECK(cublasGemmEx(handle, 0, 0, 64, 64, 64, &one, pointer(a.address), R_32F, 64, pointer(b.address), R_32F, 64, &zero,
                           pointer(to->address), R_32F, 64, COMPUTE_32F, -1) == 0);
    }
    CHECK(c.now() == d.now());
}

void beta_zero_does_not_read_c() {
    uint64_t c;
    const Numbers a(R_32F, 4, 1);
    CHECK(cuMemAlloc_v2(&c, 16) == 0); /* NaNs */
    const float one = 1, zero = 0;
    CHECK(cublasGemmEx(handle, 0, 0, 2, 2, 2, &one, pointer(a.address), R_32F, 2, pointer(a.address), R_32F, 2, &zero, pointer(c), R_32F, 2,
                       COMPUTE_32F, -1) == 0);
    float out[4];
    CHECK(cuMemcpyDtoHAsync_v2(out, c, 16, nullptr) == 0);
    CHECK(std::isfinite(out[0]) && std::isfinite(out[3]));
    CHECK(cuMemFree_v2(c) == 0);
}

void batches_are_products() {
    constexpr int m = 3, n = 4, k = 5, count = 3;
    const Numbers a(R_BF16, m * k * count, 1), b(R_BF16, k * n, 2), c(R_32F, m * n * count, 3), d(R_32F, m * n * count, 4);
    const float one = 1, zero = 0;
    CHECK(cublasGemmStridedBatchedEx(handle, 0, 0, m, n, k, &one, pointer(a.address), R_BF16, m, m * k, pointer(b.address), R_BF16, k, 0,
                                     &zero, pointer(c.address), R_32F, m, m * n, count, COMPUTE_32F, -1) == 0);
    std::vector<uint8_t> pointers(3 * count * 8);
    for (int i = 0; i < count; i++) {
        const uint64_t each[] = {a.address + 2 * m * k * i, b.address, d.address + 4 * m * n * i};
        for (int which = 0; which < 3; which++) {
            std::memcpy(&pointers[(which * count + i) * 8], &each[which], 8);
        }
    }
    const uint64_t arrays = device_bytes(pointers);
    const auto *in = reinterpret_cast<const void *const *>(arrays);
    CHECK(cublasGemmBatchedEx(handle, 0, 0, m, n, k, &one, in, R_BF16, m, in + count, R_BF16, k, &zero,
                              reinterpret_cast<void *const *>(arrays) + 2 * count, R_32F, m, count, COMPUTE_32F, -1) == 0);
    CHECK(c.now() == d.now());
    const std::vector<double> out = c.now();
    double sum = 0;
    for (int i = 0; i < k; i++) {
        sum += a.value[2 * m * k + i * m + 1] * b.value[3 * k + i];
    }
    CHECK(std::fabs(out[2 * m * n + 3 * m + 1] - sum) < 1e-6);
    const void *host[1] = {pointer(a.address)};
    CHECK(cublasGemmBatchedEx(handle, 0, 0, m, n, k, &one, host, R_BF16, m, in + count, R_BF16, k, &zero,
                              reinterpret_cast<void *const *>(arrays) + 2 * count, R_32F, m, 1, COMPUTE_32F, -1) == BLAS_INVALID_VALUE);
    CHECK_CONTAINS(graft_emulator_last_violation(), "must lie in device memory");
    CHECK(cuMemFree_v2(arrays) == 0);
}

int square(int size, uint64_t a, int lda, uint64_t c, int type, int compute) {
    const float one = 1, zero = 0;
    return cublasGemmEx(handle, 0, 0, size, size, size, &one, pointer(a), type, lda, pointer(a), type, size, &zero, pointer(c), R_32F, size,
                        compute, -1);
}

void wrong_products_are_refused() {
    const Numbers a(R_32F, 16, 1), c(R_32F, 16, 2);
    CHECK(square(4, a.address, 3, c.address, R_32F, COMPUTE_32F) == BLAS_INVALID_VALUE);
    CHECK_CONTAINS(graft_emulator_last_violation(), "leading dimensions 3, 4, 4");
    CHECK(square(4, a.address, 4, c.address, R_32F, 0) == BLAS_NOT_SUPPORTED);
    CHECK(square(4, a.address, 4, c.address, 2, COMPUTE_32F) == BLAS_NOT_SUPPORTED);
    graft_emulator_fail(GRAFT_EMULATOR_LAUNCH, 1);
    CHECK(square(4, a.address, 4, c.address, R_32F, COMPUTE_32F) == BLAS_EXECUTION_FAILED);
    CHECK(square(4, a.address, 4, c.address, R_32F, COMPUTE_32F) == 0);
    CHECK(cublasSetWorkspace_v2(handle, pointer(a.address + 4), 4) == BLAS_INVALID_VALUE);
    CHECK(cublasSetWorkspace_v2(handle, pointer(a.address), 64) == 0);
    CHECK(graft_emulator_protect(c.address, 64) == 0);
    CHECK(square(4, a.address, 4, c.address, R_32F, COMPUTE_32F) == BLAS_EXECUTION_FAILED);
    CHECK_CONTAINS(graft_emulator_last_violation(), "protected");
    graft_emulator_reset(); /* the context's error too */
    CHECK(square(4, a.address, 5, c.address, R_32F, COMPUTE_32F) == BLAS_EXECUTION_FAILED);
    CHECK_CONTAINS(graft_emulator_last_violation(), "a: 76 bytes at");
    graft_emulator_reset();
}

/* Where cuBLAS may round parts of a sum to bf16, which this one never does. */
void sums_that_may_be_rounded_are_reported() {
    const Numbers a(R_BF16, 16, 1), c(R_BF16, 16, 2);
    const float one = 1, zero = 0;
    for (int mode : {FULL_REDUCTIONS, 0}) {
        graft_emulator_reset();
        CHECK(cublasSetMathMode(handle, mode) == 0);
        CHECK(cublasGemmEx(handle, 0, 0, 4, 4, 4, &one, pointer(a.address), R_BF16, 4, pointer(a.address), R_BF16, 4, &zero,
                           pointer(c.address), R_BF16, 4, COMPUTE_32F, -1) == 0);
        CHECK(graft_emulator_violations() == (mode == 0 ? 1 : 0));
    }
    CHECK_CONTAINS(graft_emulator_last_violation(), "DISALLOW_REDUCED_PRECISION_REDUCTION");
    CHECK(cublasSetMathMode(handle, FULL_REDUCTIONS) == 0);
    graft_emulator_reset();
}

void time_of_a_product() {
    constexpr int size = 256;
    for (int type : {R_32F, R_BF16}) {
        const Numbers a(type, size * size, 1), c(R_32F, size * size, 2);
        CHECK(square(size, a.address, size, c.address, type, COMPUTE_32F) == 0);
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 10; i++) {
            CHECK(square(size, a.address, size, c.address, type, COMPUTE_32F) == 0);
        }
        const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
        std::printf("  256^3 of %s: %.2f ms\n", type == R_32F ? "float" : "bfloat16", time.count() / 10);
    }
}

} // namespace

int main() {
    void *context;
    CHECK(cuInit(0) == 0);
    CHECK(cuDevicePrimaryCtxRetain(&context, 0) == 0);
    CHECK(cuCtxSetCurrent(context) == 0);
    CHECK(cublasCreate_v2(&handle) == 0);
    CHECK(cublasSetMathMode(handle, FULL_REDUCTIONS) == 0);
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_CUBLAS) == 1);
    RUN(products_are_right);
    RUN(results_are_the_same_each_time);
    RUN(beta_zero_does_not_read_c);
    RUN(batches_are_products);
    RUN(wrong_products_are_refused);
    RUN(sums_that_may_be_rounded_are_reported);
    RUN(time_of_a_product);
    CHECK(cublasDestroy_v2(handle) == 0);
    CHECK(cublasDestroy_v2(handle) != 0);
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_CUBLAS) == 0);
    CHECK(graft_emulator_live_bytes() == 0);
    return test::result();
}
