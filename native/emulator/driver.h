/*
 * The part of the CUDA driver API that Graft uses, on the emulator: what its two halves share, and what other parts are told of its
 * handles. Signatures as in NVIDIA's cuda.h, with CUresult and CUdevice as int, CUdeviceptr as uint64_t and handles as pointers.
 */
#pragma once

#include <cstdint>

#include "engine.h"

#define DRIVER extern "C" GRAFT_EMULATOR_API int

namespace graft::emulator {

/* What nearly every call begins with: SUCCESS, or what it returns. */
int usable();

/* Reports a handle that does not exist; what the call returns. */
int bad_handle(const char *operation, const void *handle);

/* Null and the two numbers that stand for the default streams, or a stream that was created and not destroyed. */
GRAFT_EMULATOR_API bool is_stream(const void *stream);

/* Whether a stream is not the oldest of those that are alive. */
bool is_side_stream(const void *stream);

/* Memory that was created to be mapped and not released. */
int64_t mapped_memory_handles();
void forget_mapped_memory();

/* Counts cuBLAS's handles up or down. */
GRAFT_EMULATOR_API void count_cublas_handle(int64_t difference);

} // namespace graft::emulator
