/* The driver API's errors, device, context, streams and events. Streams do their work at once: waiting is only a matter of errors. */
#include "driver.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "control.h"
#include "late.h"
#include "memory.h"
#include "state.h"

namespace graft::emulator {

namespace {

/* What an event knows of its last record. */
struct Event {
    int64_t time = 0; /* in nanoseconds; 0: it never was */
    const void *stream = nullptr;
    uint64_t launches = 0; /* that the stream had put off */
};

struct Handles {
    std::mutex mutex;
    std::map<const void *, int64_t> streams; /* by age: smaller numbers are older */
    int64_t streams_so_far = 0;
    std::map<const void *, Event> events;
    int64_t context_owners = 0;
    int64_t cublas = 0;
};

Handles &handles = *new Handles;

std::atomic<bool> initialized{false};

char primary_context; /* its address is the handle */
thread_local std::vector<void *> context_stack;

void *current_context() {
    return context_stack.empty() ? nullptr : context_stack.back();
}

/* After a context's end: its memory and handles are gone. */
void end_context() {
    if (synchronize() != SUCCESS) {
        forget_mapped_memory(); /* nobody could release it */
    }
    release_all();
    clear_context_error();
    std::lock_guard lock(handles.mutex);
    for (const auto &[stream, age] : handles.streams) {
        delete static_cast<const char *>(stream);
    }
    handles.streams.clear();
    for (const auto &[event, record] : handles.events) {
        delete static_cast<const char *>(event);
    }
    handles.events.clear();
}

int64_t now() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

} // namespace

int usable() {
    if (!initialized) {
        return NOT_INITIALIZED;
    }
    if (current_context() == nullptr) {
        return INVALID_CONTEXT;
    }
    {
        std::lock_guard lock(handles.mutex);
        if (handles.context_owners == 0) {
            return INVALID_CONTEXT;
        }
    }
    return synchronize();
}

int bad_handle(const char *operation, const void *handle) {
    violation("%s: no such handle: %p", operation, handle);
    return INVALID_HANDLE;
}

bool is_stream(const void *stream) {
    if (reinterpret_cast<uintptr_t>(stream) <= 2) { /* the default streams */
        return true;
    }
    std::lock_guard lock(handles.mutex);
    return handles.streams.count(stream) != 0;
}

bool is_side_stream(const void *stream) {
    std::lock_guard lock(handles.mutex);
    const auto found = handles.streams.find(stream);
    if (found == handles.streams.end()) {
        return false;
    }
    for (const auto &[other, age] : handles.streams) {
        if (age < found->second) {
            return true;
        }
    }
    return false;
}

void count_cublas_handle(int64_t difference) {
    std::lock_guard lock(handles.mutex);
    handles.cublas += difference;
}

} // namespace graft::emulator

using namespace graft::emulator;

int64_t graft_emulator_live_handles(int32_t kind) {
    std::lock_guard lock(handles.mutex);
    switch (kind) {
    case GRAFT_EMULATOR_STREAM: return static_cast<int64_t>(handles.streams.size());
    case GRAFT_EMULATOR_EVENT: return static_cast<int64_t>(handles.events.size());
    case GRAFT_EMULATOR_CONTEXT: return handles.context_owners;
    case GRAFT_EMULATOR_CUBLAS: return handles.cublas;
    case GRAFT_EMULATOR_MAPPED_MEMORY: return mapped_memory_handles();
    default: return -1;
    }
}

/* ---- errors, version, device */

DRIVER cuInit(unsigned flags) {
    if (flags != 0) {
        return INVALID_VALUE;
    }
    initialized = true;
    return SUCCESS;
}

DRIVER cuDriverGetVersion(int *version) {
    *version = 12060;
    return SUCCESS;
}

DRIVER cuGetErrorName(int result, const char **name) {
    *name = result_name(result);
    return *name == nullptr ? INVALID_VALUE : SUCCESS;
}

DRIVER cuGetErrorString(int result, const char **text) {
    *text = result_text(result);
    return *text == nullptr ? INVALID_VALUE : SUCCESS;
}

DRIVER cuDeviceGetCount(int *count) {
    *count = 1;
    return initialized ? SUCCESS : NOT_INITIALIZED;
}

DRIVER cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return !initialized ? NOT_INITIALIZED : ordinal == 0 ? SUCCESS : INVALID_DEVICE;
}

DRIVER cuDeviceGetName(char *name, int length, int device) {
    if (device != 0) {
        return INVALID_DEVICE;
    }
    if (name == nullptr || length < 1) {
        return INVALID_VALUE;
    }
    std::strncpy(name, "Graft emulator", static_cast<size_t>(length));
    name[length - 1] = '\0';
    return SUCCESS;
}

DRIVER cuDeviceGetUuid(char *uuid, int device) {
    std::memcpy(uuid, "graft-emulator-0", 16);
    return device == 0 ? SUCCESS : INVALID_DEVICE;
}

DRIVER cuDeviceGetUuid_v2(char *uuid, int device) {
    return cuDeviceGetUuid(uuid, device);
}

DRIVER cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = settings.device_bytes;
    return device == 0 ? SUCCESS : INVALID_DEVICE;
}

DRIVER cuDeviceComputeCapability(int *major, int *minor, int device) {
    *major = 8;
    *minor = 9;
    return device == 0 ? SUCCESS : INVALID_DEVICE;
}

DRIVER cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 0) {
        return INVALID_DEVICE;
    }
    switch (attribute) {
    case 1: *value = 1024; break;                                      /* threads per block */
    case 2: case 3: *value = 1024; break;                              /* block x, y */
    case 4: *value = 64; break;                                        /* block z */
    case 5: *value = 0x7fffffff; break;                                /* grid x */
    case 6: case 7: *value = 65535; break;                             /* grid y, z */
    case 8: *value = 48 * 1024; break;                                 /* shared memory per block */
    case 10: *value = 32; break;                                       /* warp */
    case 12: *value = 65536; break;                                    /* registers per block */
    case 13: *value = 1000000; break;                                  /* clock, kHz */
    case 16: *value = settings.multiprocessors; break;
    case 19: case 31: case 41: *value = 1; break;                      /* maps host memory, concurrent kernels, unified addressing */
    case 36: *value = 1000000; break;                                  /* memory clock, kHz */
    case 37: *value = 256; break;                                      /* memory bus, bits */
    case 38: *value = 4 << 20; break;                                  /* L2 cache */
    case 39: *value = 1536; break;                                     /* threads per multiprocessor */
    case 40: *value = 1; break;                                        /* copy engines */
    case 75: *value = settings.capability / 10; break;                 /* compute capability */
    case 76: *value = settings.capability % 10; break;
    case 81: *value = static_cast<int>(settings.shared_bytes) + 1024; break; /* shared memory per multiprocessor */
    case 97: *value = static_cast<int>(settings.shared_bytes); break;  /* shared memory per block, opt-in */
    default: *value = 0; break;
    }
    return attribute > 0 ? SUCCESS : INVALID_VALUE;
}

/* ---- context */

DRIVER cuDevicePrimaryCtxRetain(void **context, int device) {
    if (!initialized || device != 0) {
        return initialized ? INVALID_DEVICE : NOT_INITIALIZED;
    }
    std::lock_guard lock(handles.mutex);
    handles.context_owners++;
    *context = &primary_context;
    return SUCCESS;
}

DRIVER cuDevicePrimaryCtxRelease_v2(int device) {
    if (device != 0) {
        return INVALID_DEVICE;
    }
    {
        std::lock_guard lock(handles.mutex);
        if (handles.context_owners == 0) {
            return INVALID_CONTEXT;
        }
        if (--handles.context_owners > 0) {
            return SUCCESS;
        }
    }
    end_context();
    return SUCCESS;
}

DRIVER cuDevicePrimaryCtxReset_v2(int device) {
    if (device != 0) {
        return INVALID_DEVICE;
    }
    end_context();
    return SUCCESS;
}

DRIVER cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    std::lock_guard lock(handles.mutex);
    *flags = 0;
    *active = handles.context_owners > 0;
    return device == 0 ? SUCCESS : INVALID_DEVICE;
}

DRIVER cuDevicePrimaryCtxSetFlags_v2(int device, unsigned) {
    return device == 0 ? SUCCESS : INVALID_DEVICE;
}

DRIVER cuCtxSetCurrent(void *context) {
    if (!initialized) {
        return NOT_INITIALIZED;
    }
    if (context != nullptr && context != &primary_context) {
        return INVALID_CONTEXT;
    }
    if (!context_stack.empty()) {
        context_stack.pop_back();
    }
    if (context != nullptr) {
        context_stack.push_back(context);
    }
    return SUCCESS;
}

DRIVER cuCtxGetCurrent(void **context) {
    *context = current_context();
    return initialized ? SUCCESS : NOT_INITIALIZED;
}

DRIVER cuCtxPushCurrent_v2(void *context) {
    if (context != &primary_context) {
        return INVALID_CONTEXT;
    }
    context_stack.push_back(context);
    return SUCCESS;
}

DRIVER cuCtxPopCurrent_v2(void **context) {
    if (context_stack.empty()) {
        return INVALID_CONTEXT;
    }
    if (context != nullptr) {
        *context = context_stack.back();
    }
    context_stack.pop_back();
    return SUCCESS;
}

DRIVER cuCtxGetDevice(int *device) {
    *device = 0;
    return current_context() == nullptr ? INVALID_CONTEXT : SUCCESS;
}

DRIVER cuCtxSynchronize() {
    std::vector<const void *> streams;
    {
        std::lock_guard lock(handles.mutex);
        for (const auto &[stream, age] : handles.streams) {
            streams.push_back(stream);
        }
    }
    for (const void *stream : streams) {
        catch_up(stream);
    }
    return usable();
}

DRIVER cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0;
    *greatest = -5;
    return usable();
}

/* ---- streams */

DRIVER cuStreamCreate(void **stream, unsigned) {
    if (const int result = usable()) {
        return result;
    }
    std::lock_guard lock(handles.mutex);
    *stream = new char;
    handles.streams.emplace(*stream, handles.streams_so_far++);
    return SUCCESS;
}

DRIVER cuStreamCreateWithPriority(void **stream, unsigned flags, int) {
    return cuStreamCreate(stream, flags);
}

/* As a context that has failed still lets go of its handles, so does this. */
DRIVER cuStreamDestroy_v2(void *stream) {
    catch_up(stream);
    std::lock_guard lock(handles.mutex);
    if (handles.streams.erase(stream) == 0) {
        return bad_handle("cuStreamDestroy", stream);
    }
    delete static_cast<char *>(stream);
    return SUCCESS;
}

DRIVER cuStreamSynchronize(void *stream) {
    catch_up(stream);
    if (const int result = usable()) {
        return result;
    }
    return is_stream(stream) ? SUCCESS : bad_handle("cuStreamSynchronize", stream);
}

DRIVER cuStreamQuery(void *stream) {
    return cuStreamSynchronize(stream);
}

/* ---- events */

DRIVER cuEventCreate(void **event, unsigned) {
    if (const int result = usable()) {
        return result;
    }
    std::lock_guard lock(handles.mutex);
    *event = new char;
    handles.events.emplace(*event, Event{});
    return SUCCESS;
}

DRIVER cuEventDestroy_v2(void *event) {
    std::lock_guard lock(handles.mutex);
    if (handles.events.erase(event) == 0) {
        return bad_handle("cuEventDestroy", event);
    }
    delete static_cast<char *>(event);
    return SUCCESS;
}

DRIVER cuEventRecord(void *event, void *stream) {
    if (const int result = usable()) {
        return result;
    }
    if (!is_stream(stream)) {
        return bad_handle("cuEventRecord", stream);
    }
    std::lock_guard lock(handles.mutex);
    const auto found = handles.events.find(event);
    if (found == handles.events.end()) {
        return bad_handle("cuEventRecord", event);
    }
    found->second = {now(), stream, put_off_so_far(stream)};
    return SUCCESS;
}

DRIVER cuEventSynchronize(void *event) {
    {
        std::unique_lock lock(handles.mutex);
        const auto found = handles.events.find(event);
        if (found != handles.events.end()) {
            const Event record = found->second;
            lock.unlock();
            catch_up(record.stream, record.launches);
        }
    }
    if (const int result = usable()) {
        return result;
    }
    std::lock_guard lock(handles.mutex);
    return handles.events.count(event) != 0 ? SUCCESS : bad_handle("cuEventSynchronize", event);
}

DRIVER cuEventQuery(void *event) {
    return cuEventSynchronize(event);
}

DRIVER cuStreamWaitEvent(void *stream, void *event, unsigned) {
    if (const int result = cuEventSynchronize(event)) {
        return result;
    }
    return is_stream(stream) ? SUCCESS : bad_handle("cuStreamWaitEvent", stream);
}

DRIVER cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    if (const int result = usable()) {
        return result;
    }
    std::lock_guard lock(handles.mutex);
    const auto first = handles.events.find(start);
    const auto last = handles.events.find(end);
    if (first == handles.events.end() || last == handles.events.end() || first->second.time == 0 || last->second.time == 0) {
        return bad_handle("cuEventElapsedTime", start);
    }
    *milliseconds = static_cast<float>(static_cast<double>(last->second.time - first->second.time) * 1e-6);
    return SUCCESS;
}
