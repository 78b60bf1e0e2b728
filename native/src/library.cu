/* The library itself: its version, the text of the last failure, launches. */
#include "device.cuh"

#include <cstdio>

namespace graft {

static thread_local char last_error[512] = "no failure";

int32_t fail(int32_t code, const char *operation, const char *text) {
    std::snprintf(last_error, sizeof last_error, "%s: %s", operation, text);
    return code;
}

#ifndef GRAFT_EMULATE

int32_t launch_status(const char *operation) {
    cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? GRAFT_OK : fail(GRAFT_CUDA_ERROR, operation, cudaGetErrorString(error));
}

int multiprocessors() {
    int device = 0;
    int count = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) {
        cudaGetLastError(); /* or the next launch tells of it */
        return 1;
    }
    return count;
}

#endif

__global__ void nothing() {}

} // namespace graft

int32_t graft_abi_version(void) {
    return GRAFT_ABI_VERSION;
}

const char *graft_last_error(void) {
    return graft::last_error;
}

int32_t graft_check_device(void *stream) {
    const char *operation = "graft_check_device";
    int32_t status = graft::launch(operation, graft::nothing, 1, 1, 0, stream);
#ifndef GRAFT_EMULATE
    if (status == GRAFT_OK) {
        cudaError_t error = cudaStreamSynchronize(static_cast<cudaStream_t>(stream));
        cudaGetLastError(); /* or the next launch tells of it again */
        status = error == cudaSuccess ? GRAFT_OK : graft::fail(GRAFT_CUDA_ERROR, operation, cudaGetErrorString(error));
    }
#endif
    return status;
}
