/*
 * The part of cuBLAS 12 that Graft uses, on the emulator. Signatures as in NVIDIA's cublas_api.h, with enumerations as int and handles as
 * pointers. Products are done at once and count as launches.
 */
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <string>

#include "driver.h"
#include "gemm.h"
#include "memory.h"
#include "state.h"

namespace graft::emulator {

namespace {

/* cublasStatus_t */
enum Status : int {
    BLAS_SUCCESS = 0,
    BLAS_NOT_INITIALIZED = 1,
    BLAS_INVALID_VALUE = 7,
    BLAS_MAPPING_ERROR = 11,
    BLAS_EXECUTION_FAILED = 13,
    BLAS_NOT_SUPPORTED = 15,
};

/* cudaDataType, cublasComputeType_t, cublasMath_t */
constexpr int TYPE_F32 = 0, TYPE_BF16 = 14;
constexpr int COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_32F_FAST_TF32 = 77;
constexpr int MATH_TF32 = 3, MATH_FULL_REDUCTIONS = 16;

struct Handle {
    void *stream = nullptr;
    int math = 0;
    int pointer_mode = 0;
};

struct Handles {
    std::mutex mutex;
    std::set<const Handle *> live;
};

Handles &blas_handles = *new Handles;

bool is_live(const Handle *handle) {
    std::lock_guard lock(blas_handles.mutex);
    if (blas_handles.live.count(handle) != 0) {
        return true;
    }
    violation("cublas: no such handle: %p", static_cast<const void *>(handle));
    return false;
}

/* One product of a call; the pointers of a batch come separately. */
struct Product {
    const char *operation;
    int transpose_a, transpose_b, m, n, k;
    const void *alpha;
    int a_type, lda;
    int b_type, ldb;
    const void *beta;
    int c_type, ldc;
    int compute;
};

int wrong(const Product &p, const char *format, ...) __attribute__((format(printf, 2, 3)));

int wrong(const Product &p, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    violation("%s of m %d, n %d, k %d: %s", p.operation, p.m, p.n, p.k, text);
    return BLAS_INVALID_VALUE;
}

bool is_type(int type) {
    return type == TYPE_F32 || type == TYPE_BF16;
}

Type to_type(int type) {
    return type == TYPE_F32 ? Type::F32 : Type::BF16;
}

/* What is wrong with the call apart from its pointers. */
int validate(const Handle *handle, const Product &p) {
    if (p.transpose_a < 0 || p.transpose_a > 2 || p.transpose_b < 0 || p.transpose_b > 2) {
        return wrong(p, "operations %d and %d", p.transpose_a, p.transpose_b);
    }
    if (p.m < 0 || p.n < 0 || p.k < 0) {
        return wrong(p, "a size is negative");
    }
    const int a_rows = p.transpose_a == 0 ? p.m : p.k;
    const int b_rows = p.transpose_b == 0 ? p.k : p.n;
    if (p.lda < (a_rows > 1 ? a_rows : 1) || p.ldb < (b_rows > 1 ? b_rows : 1) || p.ldc < (p.m > 1 ? p.m : 1)) {
        return wrong(p, "leading dimensions %d, %d, %d are smaller than the rows %d, %d, %d", p.lda, p.ldb, p.ldc, a_rows, b_rows, p.m);
    }
    if (p.alpha == nullptr || p.beta == nullptr) {
        return wrong(p, "alpha or beta is null");
    }
    const bool types = is_type(p.a_type) && p.b_type == p.a_type && is_type(p.c_type) && !(p.a_type == TYPE_F32 && p.c_type == TYPE_BF16);
    const bool compute = p.compute == COMPUTE_32F || p.compute == COMPUTE_32F_PEDANTIC || p.compute == COMPUTE_32F_FAST_TF32;
    if (!types || !compute || (p.compute == COMPUTE_32F_FAST_TF32 && p.a_type != TYPE_F32)) {
        wrong(p, "types %d, %d, %d with compute type %d are not supported", p.a_type, p.b_type, p.c_type, p.compute);
        return BLAS_NOT_SUPPORTED;
    }
    if (p.c_type == TYPE_BF16 && (handle->math & MATH_FULL_REDUCTIONS) == 0) {
        /* the real one does so where it finds that faster */
        wrong(p, "sums may be cut into parts and these rounded to bf16: the handle lacks CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION");
    }
    if (handle->pointer_mode != 0) {
        wrong(p, "alpha and beta in device memory are not emulated");
        return BLAS_NOT_SUPPORTED;
    }
    return BLAS_SUCCESS;
}

/* Whether the bytes of a column-major matrix are live; names it otherwise. */
bool check_matrix(const Product &p, const char *name, const void *data, int64_t rows, int64_t cols, int64_t leading, int type,
                  bool written) {
    std::string text;
    const int64_t size = type_bytes(to_type(type));
    if (rows == 0 || cols == 0) {
        return true;
    }
    if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(size) != 0) {
        wrong(p, "%s at %p is misaligned", name, data);
        return false;
    }
    bool right = check_range(data, static_cast<size_t>(((cols - 1) * leading + rows) * size), false, text);
    for (int64_t col = 0; written && right && col < cols; col++) {
        right = check_range(static_cast<const char *>(data) + col * leading * size, static_cast<size_t>(rows * size), true, text);
    }
    if (!right) {
        wrong(p, "%s: %s", name, text.c_str());
    }
    return right;
}

int multiply_one(const Handle *handle, const Product &p, const void *a, const void *b, void *c) {
    float alpha, beta;
    std::memcpy(&alpha, p.alpha, sizeof alpha);
    std::memcpy(&beta, p.beta, sizeof beta);
    const bool read = alpha != 0 && p.k > 0 && p.m > 0 && p.n > 0;
    const bool ta = p.transpose_a != 0;
    const bool tb = p.transpose_b != 0;
    if ((read && (!check_matrix(p, "a", a, ta ? p.k : p.m, ta ? p.m : p.k, p.lda, p.a_type, false) ||
                  !check_matrix(p, "b", b, tb ? p.n : p.k, tb ? p.k : p.n, p.ldb, p.b_type, false))) ||
        !check_matrix(p, "c", c, p.m, p.n, p.ldc, p.c_type, true)) {
        /* on a GPU the product would read or write where it must not */
        return fail_on_device(ILLEGAL_ADDRESS) == SUCCESS ? BLAS_SUCCESS : BLAS_EXECUTION_FAILED;
    }
    const bool tf32 = p.compute == COMPUTE_32F_FAST_TF32 || (p.compute == COMPUTE_32F && (handle->math & 0xf) == MATH_TF32);
    multiply(p.m, p.n, p.k, alpha, {a, p.lda, to_type(p.a_type), ta}, {b, p.ldb, to_type(p.b_type), tb}, beta, c, p.ldc,
             to_type(p.c_type), tf32);
    return BLAS_SUCCESS;
}

/* Validates, counts, and calls `each` for every product of the batch. */
template <class Each>
int run_batch(const Handle *handle, const Product &p, int count, Each each) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    if (const int status = validate(handle, p)) {
        return status;
    }
    if (count < 0) {
        return wrong(p, "%d products", count);
    }
    if (!is_stream(handle->stream)) {
        return wrong(p, "the handle's stream does not exist");
    }
    bool done;
    if (const int result = begin(LAUNCH, &done); result != SUCCESS || done) {
        return result == SUCCESS ? BLAS_SUCCESS : BLAS_EXECUTION_FAILED;
    }
    for (int i = 0; i < count; i++) {
        if (const int status = each(i)) {
            return status;
        }
    }
    std::string text;
    if (!verify_operation(text)) {
        violation("%s: %s", p.operation, text.c_str());
        return fail_on_device(ILLEGAL_ADDRESS) == SUCCESS ? BLAS_SUCCESS : BLAS_EXECUTION_FAILED;
    }
    return BLAS_SUCCESS;
}

const void *shifted(const void *data, int64_t elements, int type) {
    return static_cast<const char *>(data) + elements * (type == TYPE_F32 ? 4 : 2);
}

} // namespace

} // namespace graft::emulator

using namespace graft::emulator;

#define BLAS extern "C" GRAFT_EMULATOR_API int

BLAS cublasCreate_v2(Handle **handle) {
    auto *created = new Handle;
    {
        std::lock_guard lock(blas_handles.mutex);
        blas_handles.live.insert(created);
    }
    count_cublas_handle(1);
    *handle = created;
    return BLAS_SUCCESS;
}

BLAS cublasDestroy_v2(Handle *handle) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    {
        std::lock_guard lock(blas_handles.mutex);
        blas_handles.live.erase(handle);
    }
    count_cublas_handle(-1);
    delete handle;
    return BLAS_SUCCESS;
}

BLAS cublasGetVersion_v2(Handle *, int *version) {
    *version = 120603;
    return BLAS_SUCCESS;
}

BLAS cublasGetProperty(int property, int *value) {
    const int version[3] = {12, 6, 3};
    if (property < 0 || property > 2) {
        return BLAS_INVALID_VALUE;
    }
    *value = version[property];
    return BLAS_SUCCESS;
}

BLAS cublasSetStream_v2(Handle *handle, void *stream) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    handle->stream = stream;
    return BLAS_SUCCESS;
}

BLAS cublasGetStream_v2(Handle *handle, void **stream) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    *stream = handle->stream;
    return BLAS_SUCCESS;
}

/* The workspace must be live device memory on a 256-byte boundary; it is not used. */
BLAS cublasSetWorkspace_v2(Handle *handle, void *workspace, size_t bytes) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    std::string text;
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0 || !check_range(workspace, bytes, true, text)) {
        violation("cublasSetWorkspace of %zu bytes at %p: %s", bytes, workspace, text.c_str());
        return BLAS_INVALID_VALUE;
    }
    return BLAS_SUCCESS;
}

BLAS cublasSetMathMode(Handle *handle, int mode) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    handle->math = mode;
    return BLAS_SUCCESS;
}

BLAS cublasGetMathMode(Handle *handle, int *mode) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    *mode = handle->math;
    return BLAS_SUCCESS;
}

BLAS cublasSetPointerMode_v2(Handle *handle, int mode) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    handle->pointer_mode = mode;
    return BLAS_SUCCESS;
}

BLAS cublasGetPointerMode_v2(Handle *handle, int *mode) {
    if (!is_live(handle)) {
        return BLAS_NOT_INITIALIZED;
    }
    *mode = handle->pointer_mode;
    return BLAS_SUCCESS;
}

extern "C" GRAFT_EMULATOR_API const char *cublasGetStatusName(int status) {
    switch (status) {
    case BLAS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case BLAS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case BLAS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case BLAS_MAPPING_ERROR: return "CUBLAS_STATUS_MAPPING_ERROR";
    case BLAS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case BLAS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "unknown";
    }
}

extern "C" GRAFT_EMULATOR_API const char *cublasGetStatusString(int status) {
    return cublasGetStatusName(status);
}

BLAS cublasGemmEx(Handle *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a, int a_type,
                  int lda, const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int) {
    const Product p{"cublasGemmEx", transpose_a, transpose_b, m, n, k, alpha, a_type, lda, b_type, ldb, beta, c_type, ldc, compute};
    return run_batch(handle, p, 1, [&](int) { return multiply_one(handle, p, a, b, c); });
}

BLAS cublasGemmBatchedEx(Handle *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *const a[],
                         int a_type, int lda, const void *const b[], int b_type, int ldb, const void *beta, void *const c[], int c_type,
                         int ldc, int count, int compute, int) {
    const Product p{"cublasGemmBatchedEx", transpose_a, transpose_b, m, n, k, alpha, a_type, lda, b_type, ldb, beta, c_type, ldc, compute};
    std::string text;
    const size_t bytes = count > 0 ? static_cast<size_t>(count) * sizeof(void *) : 0;
    if (!check_range(a, bytes, false, text) || !check_range(b, bytes, false, text) || !check_range(c, bytes, false, text)) {
        return wrong(p, "the arrays of pointers must lie in device memory: %s", text.c_str());
    }
    return run_batch(handle, p, count, [&](int i) { return multiply_one(handle, p, a[i], b[i], c[i]); });
}

BLAS cublasGemmStridedBatchedEx(Handle *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a,
                                int a_type, int lda, long long stride_a, const void *b, int b_type, int ldb, long long stride_b,
                                const void *beta, void *c, int c_type, int ldc, long long stride_c, int count, int compute, int) {
    const Product p{"cublasGemmStridedBatchedEx", transpose_a, transpose_b, m, n, k, alpha, a_type, lda, b_type, ldb, beta, c_type, ldc,
                    compute};
    return run_batch(handle, p, count, [&](int i) {
        return multiply_one(handle, p, shifted(a, i * stride_a, a_type), shifted(b, i * stride_b, b_type),
                            const_cast<void *>(shifted(c, i * stride_c, c_type)));
    });
}
