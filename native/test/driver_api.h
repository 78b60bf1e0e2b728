/* The driver's and cuBLAS's functions that the tests call, declared as the emulator defines them. */
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
int cuInit(unsigned flags);
int cuGetErrorName(int result, const char **name);
int cuDeviceGet(int *device, int ordinal);
int cuDeviceGetName(char *name, int length, int device);
int cuDeviceTotalMem_v2(size_t *bytes, int device);
int cuDevicePrimaryCtxRetain(void **context, int device);
int cuDevicePrimaryCtxRelease_v2(int device);
int cuDevicePrimaryCtxReset_v2(int device);
int cuCtxSetCurrent(void *context);
int cuCtxSynchronize();
int cuMemGetInfo_v2(size_t *free_bytes, size_t *total);
int cuMemAlloc_v2(uint64_t *address, size_t bytes);
int cuMemFree_v2(uint64_t address);
int cuMemGetAllocationGranularity(size_t *granularity, const void *properties, int flags);
int cuMemCreate(uint64_t *handle, size_t bytes, const void *properties, uint64_t flags);
int cuMemRelease(uint64_t handle);
int cuMemAddressReserve(uint64_t *address, size_t bytes, size_t alignment, uint64_t at, uint64_t flags);
int cuMemAddressFree(uint64_t address, size_t bytes);
int cuMemMap(uint64_t address, size_t bytes, size_t offset, uint64_t handle, uint64_t flags);
int cuMemUnmap(uint64_t address, size_t bytes);
int cuMemSetAccess(uint64_t address, size_t bytes, const void *access, size_t count);
int cuMemHostAlloc(void **address, size_t bytes, unsigned flags);
int cuMemFreeHost(void *address);
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream);
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream);
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream);
int cuMemcpy2DAsync_v2(const void *what, void *stream);
int cuMemsetD8Async(uint64_t address, unsigned char value, size_t count, void *stream);
int cuMemsetD32Async(uint64_t address, uint32_t value, size_t count, void *stream);
int cuMemsetD2D8Async(uint64_t address, size_t pitch, unsigned char value, size_t width, size_t height, void *stream);
int cuStreamCreate(void **stream, unsigned flags);
int cuStreamDestroy_v2(void *stream);
int cuStreamSynchronize(void *stream);
int cuEventCreate(void **event, unsigned flags);
int cuEventRecord(void *event, void *stream);
int cuEventElapsedTime(float *milliseconds, void *start, void *end);
int cuEventDestroy_v2(void *event);

int cublasCreate_v2(void **handle);
int cublasDestroy_v2(void *handle);
int cublasSetStream_v2(void *handle, void *stream);
int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes);
int cublasSetMathMode(void *handle, int mode);
int cublasSetPointerMode_v2(void *handle, int mode);
int cublasGetVersion_v2(void *handle, int *version);
int cublasGetProperty(int property, int *value);
int cublasGemmEx(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda,
                 const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int algorithm);
int cublasGemmBatchedEx(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *const a[],
                        int a_type, int lda, const void *const b[], int b_type, int ldb, const void *beta, void *const c[], int c_type,
                        int ldc, int count, int compute, int algorithm);
int cublasGemmStridedBatchedEx(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a,
                               int a_type, int lda, long long stride_a, const void *b, int b_type, int ldb, long long stride_b,
                               const void *beta, void *c, int c_type, int ldc, long long stride_c, int count, int compute, int algorithm);
}

namespace test {

/* CUresult, cublasStatus_t, cudaDataType, cublasComputeType_t */
constexpr int INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719,
              NOT_SUPPORTED = 801;
constexpr int BLAS_INVALID_VALUE = 7, BLAS_EXECUTION_FAILED = 13, BLAS_NOT_SUPPORTED = 15;
constexpr int R_32F = 0, R_BF16 = 14, COMPUTE_32F = 68, COMPUTE_32F_FAST_TF32 = 77;

} // namespace test
