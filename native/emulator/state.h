/* What the emulated driver, cuBLAS and the launches share: settings, counters, faults to come, the context's error, violations. */
#pragma once

#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "engine.h"

namespace graft::emulator {

/* CUresult's values that the emulator returns. */
enum Result : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
};

GRAFT_EMULATOR_API const char *result_name(int result); /* null for numbers that are none */
GRAFT_EMULATOR_API const char *result_text(int result);

/* See control.h for each. */
struct Settings {
    std::atomic<int> descending, late, asynchronous, verify, multiprocessors, workers, capability;
    std::atomic<size_t> device_bytes, shared_bytes;
};
extern GRAFT_EMULATOR_API Settings &settings;

/* Kinds of operations that are counted and can be made to fail; the numbers are control.h's. */
enum Kind { ALLOCATION, LAUNCH, COPY, PINNED_ALLOCATION, MAPPING, KINDS };

/*
 * Counts an operation that is about to be done and says what becomes of it: SUCCESS, the context's error, or the failure that was
 * asked for. `done` is set where SUCCESS is to be returned without doing anything: the failure will be reported later.
 */
GRAFT_EMULATOR_API int begin(Kind kind, bool *done);

/* The context's error, which a call that waits for the device brings to light. */
int synchronize();

/* A launch or a product went wrong: makes it the context's error; what the call should return. */
GRAFT_EMULATOR_API int fail_on_device(int result);

/* A new context has no error. */
void clear_context_error();

/* Keeps the text for control.h's last violation. */
GRAFT_EMULATOR_API void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace graft::emulator
