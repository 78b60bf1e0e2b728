#include "state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "control.h"
#include "memory.h"

namespace graft::emulator {

namespace {

/* What a setting is at the start and after a reset: the environment's value or the given one. */
long long initial(const char *variable, long long otherwise) {
    const char *text = std::getenv(variable);
    if (text == nullptr || *text == '\0') {
        return otherwise;
    }
    char *end;
    const long long value = std::strtoll(text, &end, 10);
    if (*end != '\0' || value < 0) {
        std::fprintf(stderr, "graft emulator: %s=%s is no number; using %lld\n", variable, text, otherwise);
        return otherwise;
    }
    return value;
}

struct Faults {
    std::mutex mutex;
    int64_t count[KINDS] = {};   /* operations so far */
    int64_t fail_at[KINDS] = {}; /* the operation that fails; 0: none */
    int context_error = SUCCESS;
    bool observed = false; /* a call that waits has returned it */
    std::string last_violation;
    int64_t violations = 0;
};

Faults &faults = *new Faults;

/* The failure of each kind, by whether it is reported at once. */
int failure(Kind kind) {
    switch (kind) {
    case ALLOCATION:
    case PINNED_ALLOCATION:
        return OUT_OF_MEMORY;
    case LAUNCH:
        return settings.asynchronous ? LAUNCH_FAILED : LAUNCH_OUT_OF_RESOURCES;
    case MAPPING:
        return NOT_SUPPORTED;
    default:
        return ILLEGAL_ADDRESS;
    }
}

void reset_settings(Settings &s) {
    s.descending = initial("GRAFT_EMULATOR_DESCENDING", 0) != 0;
    s.late = 0;
    s.asynchronous = 0;
    s.verify = initial("GRAFT_EMULATOR_VERIFY", 0) != 0;
    s.multiprocessors = static_cast<int>(initial("GRAFT_EMULATOR_MULTIPROCESSORS", 4));
    s.workers = static_cast<int>(initial("GRAFT_EMULATOR_WORKERS", 1));
    s.capability = static_cast<int>(initial("GRAFT_EMULATOR_CAPABILITY", 89));
    s.device_bytes = static_cast<size_t>(initial("GRAFT_EMULATOR_DEVICE_BYTES", 2LL << 30));
    s.shared_bytes = static_cast<size_t>(initial("GRAFT_EMULATOR_SHARED_BYTES", 99 * 1024));
}

struct InitialSettings : Settings {
    InitialSettings() { reset_settings(*this); }
} initial_settings;

} // namespace

Settings &settings = initial_settings;

int begin(Kind kind, bool *done) {
    *done = false;
    std::lock_guard lock(faults.mutex);
    if (faults.context_error != SUCCESS) {
        if (kind == LAUNCH && !faults.observed) {
            *done = true;
            return SUCCESS;
        }
        faults.observed = true;
        return faults.context_error;
    }
    if (++faults.count[kind] != faults.fail_at[kind]) {
        return SUCCESS;
    }
    faults.fail_at[kind] = 0;
    if (kind == LAUNCH && settings.asynchronous) {
        faults.context_error = failure(kind);
        faults.observed = false;
        *done = true;
        return SUCCESS;
    }
    return failure(kind);
}

int synchronize() {
    std::lock_guard lock(faults.mutex);
    faults.observed = true;
    return faults.context_error;
}

int fail_on_device(int result) {
    std::lock_guard lock(faults.mutex);
    faults.context_error = result;
    faults.observed = !settings.asynchronous;
    return settings.asynchronous ? SUCCESS : result;
}

void clear_context_error() {
    std::lock_guard lock(faults.mutex);
    faults.context_error = SUCCESS;
}

void violation(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    std::lock_guard lock(faults.mutex);
    faults.last_violation = text;
    faults.violations++;
}

const char *result_name(int result) {
    switch (result) {
    case SUCCESS: return "CUDA_SUCCESS";
    case INVALID_VALUE: return "CUDA_ERROR_INVALID_VALUE";
    case OUT_OF_MEMORY: return "CUDA_ERROR_OUT_OF_MEMORY";
    case NOT_INITIALIZED: return "CUDA_ERROR_NOT_INITIALIZED";
    case INVALID_DEVICE: return "CUDA_ERROR_INVALID_DEVICE";
    case INVALID_CONTEXT: return "CUDA_ERROR_INVALID_CONTEXT";
    case INVALID_HANDLE: return "CUDA_ERROR_INVALID_HANDLE";
    case NOT_READY: return "CUDA_ERROR_NOT_READY";
    case ILLEGAL_ADDRESS: return "CUDA_ERROR_ILLEGAL_ADDRESS";
    case LAUNCH_OUT_OF_RESOURCES: return "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES";
    case LAUNCH_FAILED: return "CUDA_ERROR_LAUNCH_FAILED";
    case NOT_SUPPORTED: return "CUDA_ERROR_NOT_SUPPORTED";
    default: return nullptr;
    }
}

const char *result_text(int result) {
    switch (result) {
    case SUCCESS: return "no error";
    case INVALID_VALUE: return "invalid argument";
    case OUT_OF_MEMORY: return "out of memory";
    case NOT_INITIALIZED: return "initialization error";
    case INVALID_DEVICE: return "invalid device ordinal";
    case INVALID_CONTEXT: return "invalid device context";
    case INVALID_HANDLE: return "invalid resource handle";
    case NOT_READY: return "device not ready";
    case ILLEGAL_ADDRESS: return "an illegal memory access was encountered";
    case LAUNCH_OUT_OF_RESOURCES: return "too many resources requested for launch";
    case LAUNCH_FAILED: return "unspecified launch failure";
    case NOT_SUPPORTED: return "operation not supported";
    default: return nullptr;
    }
}

} // namespace graft::emulator

/* ---- control.h, the part about settings, faults and counters */

using namespace graft::emulator;

void graft_emulator_set_descending(int32_t descending) {
    settings.descending = descending != 0;
}

void graft_emulator_set_late(int32_t late) {
    settings.late = late != 0;
}

void graft_emulator_set_asynchronous_failures(int32_t asynchronous) {
    settings.asynchronous = asynchronous != 0;
}

void graft_emulator_set_verify(int32_t verify) {
    settings.verify = verify != 0;
}

void graft_emulator_set_multiprocessors(int32_t count) {
    settings.multiprocessors = count < 1 ? 1 : count;
}

void graft_emulator_set_workers(int32_t count) {
    settings.workers = count < 1 ? 1 : count;
}

void graft_emulator_set_device_bytes(int64_t bytes) {
    settings.device_bytes = bytes < 0 ? 0 : static_cast<size_t>(bytes);
}

void graft_emulator_set_capability(int32_t capability) {
    settings.capability = capability;
}

void graft_emulator_set_shared_bytes(int64_t bytes) {
    settings.shared_bytes = bytes < 0 ? 0 : static_cast<size_t>(bytes);
}

int32_t graft_emulator_fail(int32_t kind, int64_t nth) {
    if (kind < 0 || kind >= KINDS || nth < 0) {
        return INVALID_VALUE;
    }
    std::lock_guard lock(faults.mutex);
    faults.fail_at[kind] = nth == 0 ? 0 : faults.count[kind] + nth;
    return SUCCESS;
}

int64_t graft_emulator_count(int32_t kind) {
    std::lock_guard lock(faults.mutex);
    return kind < 0 || kind >= KINDS ? -1 : faults.count[kind];
}

int64_t graft_emulator_violations(void) {
    std::lock_guard lock(faults.mutex);
    return faults.violations;
}

const char *graft_emulator_last_violation(void) {
    static thread_local std::string copy;
    std::lock_guard lock(faults.mutex);
    copy = faults.last_violation;
    return copy.c_str();
}

void graft_emulator_reset(void) {
    reset_settings(settings);
    {
        std::lock_guard lock(faults.mutex);
        for (int kind = 0; kind < KINDS; kind++) {
            faults.count[kind] = 0;
            faults.fail_at[kind] = 0;
        }
        faults.context_error = SUCCESS;
        faults.last_violation.clear();
        faults.violations = 0;
    }
    reset_memory();
}
