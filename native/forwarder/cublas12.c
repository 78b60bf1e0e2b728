/*
 * Stands in for libcublas.so.12 where only cuBLAS 13 is installed: the functions that Graft calls, under the name and symbol version
 * that JCublas2 12.6 is linked against, passed on to libcublas.so.13, whose functions of these names take the same arguments.
 * cuBLAS 13 is opened at the first call. Where there is none every function returns CUBLAS_STATUS_NOT_INITIALIZED, and
 * graft_cublas_forwarder_error() says why.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

enum { NOT_INITIALIZED = 1 }; /* CUBLAS_STATUS_NOT_INITIALIZED */

typedef void *handle;
typedef void *stream;

/* name, parameters, arguments */
#define FUNCTIONS(F)                                                                                                                     \
    F(cublasCreate_v2, (handle * h), (h))                                                                                                \
    F(cublasDestroy_v2, (handle h), (h))                                                                                                 \
    F(cublasGetVersion_v2, (handle h, int *version), (h, version))                                                                       \
    F(cublasGetProperty, (int property, int *value), (property, value))                                                                  \
    F(cublasSetStream_v2, (handle h, stream s), (h, s))                                                                                  \
    F(cublasGetStream_v2, (handle h, stream * s), (h, s))                                                                                \
    F(cublasSetWorkspace_v2, (handle h, void *workspace, size_t bytes), (h, workspace, bytes))                                           \
    F(cublasSetMathMode, (handle h, int mode), (h, mode))                                                                                \
    F(cublasGetMathMode, (handle h, int *mode), (h, mode))                                                                               \
    F(cublasSetPointerMode_v2, (handle h, int mode), (h, mode))                                                                          \
    F(cublasGetPointerMode_v2, (handle h, int *mode), (h, mode))                                                                         \
    F(cublasGemmEx,                                                                                                                      \
      (handle h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda, const void *b, int b_type,  \
       int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int algorithm),                                             \
      (h, ta, tb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, compute, algorithm))                             \
    F(cublasGemmBatchedEx,                                                                                                               \
      (handle h, int ta, int tb, int m, int n, int k, const void *alpha, const void *const a[], int a_type, int lda,                     \
       const void *const b[], int b_type, int ldb, const void *beta, void *const c[], int c_type, int ldc, int count, int compute,       \
       int algorithm),                                                                                                                   \
      (h, ta, tb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, count, compute, algorithm))                      \
    F(cublasGemmStridedBatchedEx,                                                                                                        \
      (handle h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda, long long stride_a,         \
       const void *b, int b_type, int ldb, long long stride_b, const void *beta, void *c, int c_type, int ldc, long long stride_c,       \
       int count, int compute, int algorithm),                                                                                           \
      (h, ta, tb, m, n, k, alpha, a, a_type, lda, stride_a, b, b_type, ldb, stride_b, beta, c, c_type, ldc, stride_c, count, compute,    \
       algorithm))

static struct {
#define MEMBER(name, parameters, arguments) int(*name) parameters;
    FUNCTIONS(MEMBER)
#undef MEMBER
} functions;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char error[512];

/* A function's address, which ISO C has no conversion for from dlsym's pointer to data. */
static void *find(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (found == NULL && error[0] == '\0') {
        snprintf(error, sizeof error, "libcublas.so.13 has no %s", name);
    }
    return found;
}

static void open_library(void) {
    void *library = dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *reason = dlerror();
        snprintf(error, sizeof error, "cuBLAS 13 cannot be opened: %s", reason == NULL ? "libcublas.so.13" : reason);
        return;
    }
#define FIND(name, parameters, arguments) *(void **)&functions.name = find(library, #name);
    FUNCTIONS(FIND)
#undef FIND
}

/* Why cuBLAS 13 or a function of it was not found; "" where all were. */
EXPORT const char *graft_cublas_forwarder_error(void) {
    pthread_once(&once, open_library);
    return error;
}

#define FORWARD(name, parameters, arguments)                                                                                             \
    EXPORT int name parameters;                                                                                                          \
    EXPORT int name parameters {                                                                                                         \
        pthread_once(&once, open_library);                                                                                               \
        return functions.name == NULL ? NOT_INITIALIZED : functions.name arguments;                                                      \
    }
FUNCTIONS(FORWARD)
