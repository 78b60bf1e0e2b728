/* forwarder_test FORWARDER found|missing: with cuBLAS 13 on the library path, and without. Exits 77 (skipped) where it should be missing
 * but this machine has one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(expression)                                                                                                                \
    do {                                                                                                                                 \
        if (!(expression)) {                                                                                                             \
            failures++;                                                                                                                  \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #expression);                                                     \
        }                                                                                                                                \
    } while (0)

static void *library;

/* The function under the version that JCublas2 asks for. */
static void *versioned(const char *name) {
    return dlvsym(library, name, "libcublas.so.12");
}

static void test_found(void) {
    int (*create)(void **), (*destroy)(void *), (*version)(void *, int *), (*workspace)(void *, void *, size_t), (*mode)(void *, int);
    int (*gemm)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int, const void *, void *, int, int,
                int, int);
    int (*strided)(void *, int, int, int, int, int, const void *, const void *, int, int, long long, const void *, int, int, long long,
                   const void *, void *, int, int, long long, int, int, int);
    const char *(*error)(void);
    *(void **)&create = versioned("cublasCreate_v2");
    *(void **)&destroy = versioned("cublasDestroy_v2");
    *(void **)&version = versioned("cublasGetVersion_v2");
    *(void **)&workspace = versioned("cublasSetWorkspace_v2");
    *(void **)&mode = versioned("cublasSetMathMode");
    *(void **)&gemm = versioned("cublasGemmEx");
    *(void **)&strided = versioned("cublasGemmStridedBatchedEx");
    *(void **)&error = dlsym(library, "graft_cublas_forwarder_error");
    void *handle = NULL;
    int number = 0;
    CHECK(create(&handle) == 0 && handle != NULL);
    CHECK(version(handle, &number) == 0 && number == 130000);
    CHECK(workspace(handle, handle, (size_t)1 << 40) == 0);
    char *base = handle;
    CHECK(gemm(handle, 1, 2, 3, 4, 5, base + 1, base + 2, 6, 7, base + 3, 8, 9, base + 4, base + 5, 10, 11, 12, 13) == 42);
    CHECK(strided(handle, 1, 2, 3, 4, 5, base + 1, base + 2, 6, 7, 1LL << 40, base + 3, 8, 9, 1LL << 41, base + 4, base + 5, 10, 11, 1LL << 42,
                  14, 12, 13) == 43);
    CHECK(destroy(handle) == 0);
    /* the stand-in lacks it */
    CHECK(mode(handle, 0) == 1);
    CHECK(strstr(error(), "libcublas.so.13 has no cublas") != NULL);
}

static void test_missing(void) {
    int (*create)(void **);
    const char *(*error)(void);
    *(void **)&create = versioned("cublasCreate_v2");
    *(void **)&error = dlsym(library, "graft_cublas_forwarder_error");
    void *handle = NULL;
    CHECK(create(&handle) == 1);
    CHECK(handle == NULL);
    CHECK(strstr(error(), "libcublas.so.13") != NULL);
}

int main(int count, char **arguments) {
    if (count != 3 || (library = dlopen(arguments[1], RTLD_NOW)) == NULL) {
        fprintf(stderr, "usage: forwarder_test FORWARDER found|missing\n");
        return 2;
    }
    CHECK(dlopen("libcublas.so.12", RTLD_NOW | RTLD_NOLOAD) == library); /* its soname */
    if (strcmp(arguments[2], "found") == 0) {
        test_found();
    } else if (dlopen("libcublas.so.13", RTLD_NOW) != NULL) {
        return 77;
    } else {
        test_missing();
    }
    return failures == 0 ? 0 : 1;
}
