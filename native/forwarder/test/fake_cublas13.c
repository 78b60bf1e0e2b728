/* As much of a cuBLAS 13 as the forwarder's test needs: each function returns what shows that its arguments arrived in their places. */
#include <stddef.h>

static int handle_memory;

int cublasCreate_v2(void **handle);
int cublasDestroy_v2(void *handle);
int cublasGetVersion_v2(void *handle, int *version);
int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes);
int cublasGemmEx(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda, const void *b,
                 int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int algorithm);
int cublasGemmStridedBatchedEx(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda,
                               long long stride_a, const void *b, int b_type, int ldb, long long stride_b, const void *beta, void *c,
                               int c_type, int ldc, long long stride_c, int count, int compute, int algorithm);

int cublasCreate_v2(void **handle) {
    *handle = &handle_memory;
    return 0;
}

int cublasDestroy_v2(void *handle) {
    return handle == &handle_memory ? 0 : 7;
}

int cublasGetVersion_v2(void *handle, int *version) {
    *version = 130000;
    return handle == &handle_memory ? 0 : 7;
}

int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes) {
    return handle == &handle_memory && workspace == handle && bytes == (size_t)1 << 40 ? 0 : 7;
}

int cublasGemmEx(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda, const void *b,
                 int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int algorithm) {
    const int numbers = ta == 1 && tb == 2 && m == 3 && n == 4 && k == 5 && a_type == 6 && lda == 7 && b_type == 8 && ldb == 9 &&
                        c_type == 10 && ldc == 11 && compute == 12 && algorithm == 13;
    const char *base = h;
    return numbers && alpha == base + 1 && a == base + 2 && b == base + 3 && beta == base + 4 && c == base + 5 ? 42 : 7;
}

int cublasGemmStridedBatchedEx(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda,
                               long long stride_a, const void *b, int b_type, int ldb, long long stride_b, const void *beta, void *c,
                               int c_type, int ldc, long long stride_c, int count, int compute, int algorithm) {
    const int numbers = ta == 1 && tb == 2 && m == 3 && n == 4 && k == 5 && a_type == 6 && lda == 7 && b_type == 8 && ldb == 9 &&
                        c_type == 10 && ldc == 11 && compute == 12 && algorithm == 13 && count == 14;
    const int strides = stride_a == 1LL << 40 && stride_b == 1LL << 41 && stride_c == 1LL << 42;
    const char *base = h;
    return numbers && strides && alpha == base + 1 && a == base + 2 && b == base + 3 && beta == base + 4 && c == base + 5 ? 43 : 7;
}
