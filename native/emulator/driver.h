/* The driver's handles that other parts of the emulator are given or count. */
#pragma once

#include <cstdint>

#include "engine.h"

namespace graft::emulator {

/* Null and the two numbers that stand for the default streams, or a stream that was created and not destroyed. */
GRAFT_EMULATOR_API bool is_stream(const void *stream);

/* Counts cuBLAS's handles up or down. */
GRAFT_EMULATOR_API void count_cublas_handle(int64_t difference);

} // namespace graft::emulator
