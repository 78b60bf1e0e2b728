/*
 * The part of the CUDA driver API that Graft uses, on the emulator. Signatures as in NVIDIA's cuda.h, with CUresult and CUdevice as
 * int, CUdeviceptr as uint64_t and handles as pointers. Streams do their work at once, so that waiting is only a matter of errors.
 */
#include "driver.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "control.h"
#include "memory.h"
#include "state.h"

namespace graft::emulator {

namespace {

struct Handles {
    std::mutex mutex;
    std::set<const void *> streams;
    std::map<const void *, int64_t> events; /* nanoseconds of the last record, 0: none */
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

/* What nearly every call begins with: SUCCESS, or what it returns. */
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

/* After a context's end: its memory and handles are gone. */
void end_context() {
    release_all();
    clear_context_error();
    std::lock_guard lock(handles.mutex);
    for (const void *stream : handles.streams) {
        delete static_cast<const char *>(stream);
    }
    handles.streams.clear();
    for (const auto &[event, time] : handles.events) {
        delete static_cast<const char *>(event);
    }
    handles.events.clear();
}

int bad(const char *operation, const std::string &text) {
    violation("%s: %s", operation, text.c_str());
    return INVALID_VALUE;
}

int bad_handle(const char *operation, const void *handle) {
    violation("%s: no such handle: %p", operation, handle);
    return INVALID_HANDLE;
}

/* One side of a copy: rows of bytes. */
struct Rows {
    unsigned char *start;
    size_t pitch;
    bool device;
};

/* Checks that rows of `width` bytes lie in live device memory; host memory is taken as given. */
bool check_rows(const Rows &rows, size_t width, size_t height, bool written, std::string &text) {
    if (!rows.device || width == 0 || height == 0) {
        return true;
    }
    if (!check_range(rows.start, (height - 1) * rows.pitch + width, false, text)) {
        return false;
    }
    for (size_t i = 0; written && i < height; i++) {
        if (!check_range(rows.start + i * rows.pitch, width, true, text)) {
            return false;
        }
    }
    return true;
}

/* After an operation that wrote: verifies memory where that is asked for. */
int finish(const char *operation) {
    std::string text;
    if (settings.verify && !verify_memory(text)) {
        violation("%s: %s", operation, text.c_str());
        return fail_on_device(ILLEGAL_ADDRESS);
    }
    return SUCCESS;
}

/* What copies and memsets have in common; `write` does it. */
template <class Write>
int operate(const char *operation, const void *stream, Write write) {
    if (const int result = usable()) {
        return result;
    }
    if (!is_stream(stream)) {
        return bad_handle(operation, stream);
    }
    bool done;
    if (const int result = begin(COPY, &done); result != SUCCESS || done) {
        return result;
    }
    std::string text;
    if (!write(text)) {
        return bad(operation, text);
    }
    return finish(operation);
}

int copy(const char *operation, const Rows &to, const Rows &from, size_t width, size_t height, const void *stream) {
    return operate(operation, stream, [&](std::string &text) {
        if (!check_rows(from, width, height, false, text) || !check_rows(to, width, height, true, text)) {
            return false;
        }
        for (size_t i = 0; i < height; i++) {
            std::memmove(to.start + i * to.pitch, from.start + i * from.pitch, width);
        }
        return true;
    });
}

Rows on_device(uint64_t address) {
    return {reinterpret_cast<unsigned char *>(address), 0, true};
}

Rows on_host(const void *address) {
    return {static_cast<unsigned char *>(const_cast<void *>(address)), 0, false};
}

/* Sets `width` elements of each of `height` rows, pitch in bytes. */
template <class T>
int set(const char *operation, uint64_t address, size_t pitch, T value, size_t width, size_t height, const void *stream) {
    if (address % sizeof(T) != 0 || pitch % sizeof(T) != 0) {
        return bad(operation, "misaligned address");
    }
    return operate(operation, stream, [&](std::string &text) {
        const Rows rows{reinterpret_cast<unsigned char *>(address), pitch, true};
        if (!check_rows(rows, width * sizeof(T), height, true, text)) {
            return false;
        }
        for (size_t row = 0; row < height; row++) {
            T *start = reinterpret_cast<T *>(rows.start + row * pitch);
            for (size_t i = 0; i < width; i++) {
                start[i] = value;
            }
        }
        return true;
    });
}

int64_t now() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

/* CUDA_MEMCPY2D */
struct Copy2D {
    size_t source_x, source_y;
    uint32_t source_type;
    const void *source_host;
    uint64_t source_device;
    void *source_array;
    size_t source_pitch;
    size_t to_x, to_y;
    uint32_t to_type;
    void *to_host;
    uint64_t to_device;
    void *to_array;
    size_t to_pitch;
    size_t width, height;
};

constexpr uint32_t HOST_MEMORY = 1, DEVICE_MEMORY = 2, UNIFIED_MEMORY = 4;

bool side(uint32_t type, const void *host, uint64_t device, size_t pitch, size_t x, size_t y, Rows &rows) {
    if (type == HOST_MEMORY) {
        rows = on_host(host);
    } else if (type == DEVICE_MEMORY || type == UNIFIED_MEMORY) {
        rows = on_device(device);
    } else {
        return false;
    }
    rows.pitch = pitch;
    rows.start += y * pitch + x;
    return true;
}

int copy_2d(const Copy2D *c, const void *stream) {
    Rows from{}, to{};
    if (c == nullptr || !side(c->source_type, c->source_host, c->source_device, c->source_pitch, c->source_x, c->source_y, from) ||
        !side(c->to_type, c->to_host, c->to_device, c->to_pitch, c->to_x, c->to_y, to)) {
        return bad("cuMemcpy2D", "neither host nor device memory");
    }
    if (c->height > 1 && (c->width > from.pitch || c->width > to.pitch)) {
        return bad("cuMemcpy2D", "rows are wider than the pitch");
    }
    return copy("cuMemcpy2D", to, from, c->width, c->height, stream);
}

} // namespace

bool is_stream(const void *stream) {
    if (reinterpret_cast<uintptr_t>(stream) <= 2) { /* the default streams */
        return true;
    }
    std::lock_guard lock(handles.mutex);
    return handles.streams.count(stream) != 0;
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
    default: return -1;
    }
}

#define DRIVER extern "C" GRAFT_EMULATOR_API int

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
    case 75: *value = 8; break;                                        /* compute capability */
    case 76: *value = 9; break;
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
    return usable();
}

DRIVER cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0;
    *greatest = -5;
    return usable();
}

/* ---- memory */

DRIVER cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    if (const int result = usable()) {
        return result;
    }
    const size_t used = bytes_in_use();
    *total = settings.device_bytes;
    *free_bytes = used > *total ? 0 : *total - used;
    return SUCCESS;
}

DRIVER cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    if (const int result = usable()) {
        return result;
    }
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    bool done;
    if (const int result = begin(ALLOCATION, &done)) {
        return result;
    }
    void *memory = allocate(bytes);
    if (memory == nullptr) {
        return OUT_OF_MEMORY;
    }
    *address = reinterpret_cast<uint64_t>(memory);
    return SUCCESS;
}

DRIVER cuMemFree_v2(uint64_t address) {
    if (const int result = usable()) {
        return result;
    }
    return address == 0 ? SUCCESS : release(reinterpret_cast<void *>(address));
}

DRIVER cuMemGetAddressRange_v2(uint64_t *start, size_t *bytes, uint64_t address) {
    void *found;
    size_t size;
    if (!find_allocation(reinterpret_cast<const void *>(address), &found, &size)) {
        return INVALID_VALUE;
    }
    if (start != nullptr) {
        *start = reinterpret_cast<uint64_t>(found);
    }
    if (bytes != nullptr) {
        *bytes = size;
    }
    return SUCCESS;
}

DRIVER cuMemHostAlloc(void **address, size_t bytes, unsigned) {
    if (const int result = usable()) {
        return result;
    }
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    bool done;
    if (const int result = begin(PINNED_ALLOCATION, &done)) {
        return result;
    }
    *address = allocate_pinned(bytes);
    return *address == nullptr ? OUT_OF_MEMORY : SUCCESS;
}

DRIVER cuMemAllocHost_v2(void **address, size_t bytes) {
    return cuMemHostAlloc(address, bytes, 0);
}

DRIVER cuMemFreeHost(void *address) {
    if (const int result = usable()) {
        return result;
    }
    return release_pinned(address);
}

DRIVER cuMemHostGetDevicePointer_v2(uint64_t *device, void *host, unsigned) {
    if (!is_pinned(host)) {
        return INVALID_VALUE;
    }
    *device = reinterpret_cast<uint64_t>(host);
    return SUCCESS;
}

/* ---- copies and memsets */

DRIVER cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    return copy("cuMemcpyHtoD", on_device(to), on_host(from), bytes, 1, stream);
}

DRIVER cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) {
    return cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr);
}

DRIVER cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    return copy("cuMemcpyDtoH", on_host(to), on_device(from), bytes, 1, stream);
}

DRIVER cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
    return cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr);
}

DRIVER cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream) {
    return copy("cuMemcpyDtoD", on_device(to), on_device(from), bytes, 1, stream);
}

DRIVER cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes) {
    return cuMemcpyDtoDAsync_v2(to, from, bytes, nullptr);
}

DRIVER cuMemcpy2DAsync_v2(const Copy2D *what, void *stream) {
    return copy_2d(what, stream);
}

DRIVER cuMemcpy2D_v2(const Copy2D *what) {
    return copy_2d(what, nullptr);
}

DRIVER cuMemcpy2DUnaligned_v2(const Copy2D *what) {
    return copy_2d(what, nullptr);
}

DRIVER cuMemsetD8Async(uint64_t address, unsigned char value, size_t count, void *stream) {
    return set("cuMemsetD8", address, 0, value, count, 1, stream);
}

DRIVER cuMemsetD8_v2(uint64_t address, unsigned char value, size_t count) {
    return cuMemsetD8Async(address, value, count, nullptr);
}

DRIVER cuMemsetD16Async(uint64_t address, uint16_t value, size_t count, void *stream) {
    return set("cuMemsetD16", address, 0, value, count, 1, stream);
}

DRIVER cuMemsetD16_v2(uint64_t address, uint16_t value, size_t count) {
    return cuMemsetD16Async(address, value, count, nullptr);
}

DRIVER cuMemsetD32Async(uint64_t address, uint32_t value, size_t count, void *stream) {
    return set("cuMemsetD32", address, 0, value, count, 1, stream);
}

DRIVER cuMemsetD32_v2(uint64_t address, uint32_t value, size_t count) {
    return cuMemsetD32Async(address, value, count, nullptr);
}

DRIVER cuMemsetD2D8Async(uint64_t address, size_t pitch, unsigned char value, size_t width, size_t height, void *stream) {
    return set("cuMemsetD2D8", address, pitch, value, width, height, stream);
}

DRIVER cuMemsetD2D8_v2(uint64_t address, size_t pitch, unsigned char value, size_t width, size_t height) {
    return cuMemsetD2D8Async(address, pitch, value, width, height, nullptr);
}

DRIVER cuMemsetD2D16Async(uint64_t address, size_t pitch, uint16_t value, size_t width, size_t height, void *stream) {
    return set("cuMemsetD2D16", address, pitch, value, width, height, stream);
}

DRIVER cuMemsetD2D32Async(uint64_t address, size_t pitch, uint32_t value, size_t width, size_t height, void *stream) {
    return set("cuMemsetD2D32", address, pitch, value, width, height, stream);
}

/* ---- streams */

DRIVER cuStreamCreate(void **stream, unsigned) {
    if (const int result = usable()) {
        return result;
    }
    std::lock_guard lock(handles.mutex);
    *stream = new char;
    handles.streams.insert(*stream);
    return SUCCESS;
}

DRIVER cuStreamCreateWithPriority(void **stream, unsigned flags, int) {
    return cuStreamCreate(stream, flags);
}

/* As a context that has failed still lets go of its handles, so does this. */
DRIVER cuStreamDestroy_v2(void *stream) {
    std::lock_guard lock(handles.mutex);
    if (handles.streams.erase(stream) == 0) {
        return bad_handle("cuStreamDestroy", stream);
    }
    delete static_cast<char *>(stream);
    return SUCCESS;
}

DRIVER cuStreamSynchronize(void *stream) {
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
    handles.events.emplace(*event, 0);
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
    found->second = now();
    return SUCCESS;
}

DRIVER cuEventSynchronize(void *event) {
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
    if (first == handles.events.end() || last == handles.events.end() || first->second == 0 || last->second == 0) {
        return bad_handle("cuEventElapsedTime", start);
    }
    *milliseconds = static_cast<float>(static_cast<double>(last->second - first->second) * 1e-6);
    return SUCCESS;
}
