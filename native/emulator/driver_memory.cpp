/* The driver API's memory, copies and memsets. */
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "control.h"
#include "driver.h"
#include "memory.h"
#include "state.h"

namespace graft::emulator {

namespace {

int bad(const char *operation, const std::string &text) {
    violation("%s: %s", operation, text.c_str());
    return INVALID_VALUE;
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

/* After an operation that wrote: verifies memory where that is to be done. */
int finish(const char *operation) {
    std::string text;
    if (!verify_operation(text)) {
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

} // namespace graft::emulator

using namespace graft::emulator;

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

/* ---- mapped memory: an address range is an allocation, what is mapped there always the same */

namespace {

constexpr size_t GRANULARITY = 4096; /* small, so that tiny models take several mappings */

/* Sizes by handle. */
struct Mapped {
    std::mutex mutex;
    std::map<uint64_t, size_t> sizes;
    uint64_t so_far = 0;
};

Mapped &mapped = *new Mapped;

/* CUmemAccessDesc */
struct Access {
    int location_type, location_id;
    int flags;
};
constexpr int READ = 1, READ_WRITE = 3;

/* What the mapping of memory begins with. */
int begin_mapping() {
    if (const int result = usable()) {
        return result;
    }
    bool done;
    return begin(MAPPING, &done);
}

} // namespace

namespace graft::emulator {

int64_t mapped_memory_handles() {
    std::lock_guard lock(mapped.mutex);
    return static_cast<int64_t>(mapped.sizes.size());
}

void forget_mapped_memory() {
    std::lock_guard lock(mapped.mutex);
    mapped.sizes.clear();
}

} // namespace graft::emulator

DRIVER cuMemGetAllocationGranularity(size_t *granularity, const void *, int) {
    *granularity = GRANULARITY;
    return usable();
}

DRIVER cuMemCreate(uint64_t *handle, size_t bytes, const void *, uint64_t flags) {
    if (const int result = usable()) {
        return result;
    }
    if (bytes == 0 || bytes % GRANULARITY != 0 || flags != 0) {
        return INVALID_VALUE;
    }
    bool done;
    if (const int result = begin(ALLOCATION, &done)) {
        return result;
    }
    if (const size_t used = bytes_in_use(); used > settings.device_bytes || bytes > settings.device_bytes - used) {
        return OUT_OF_MEMORY;
    }
    std::lock_guard lock(mapped.mutex);
    *handle = ++mapped.so_far;
    mapped.sizes.emplace(*handle, bytes);
    return SUCCESS;
}

DRIVER cuMemRelease(uint64_t handle) {
    if (const int result = usable()) {
        return result;
    }
    std::lock_guard lock(mapped.mutex);
    return mapped.sizes.erase(handle) == 1 ? SUCCESS : bad("cuMemRelease", "no such memory");
}

DRIVER cuMemAddressReserve(uint64_t *address, size_t bytes, size_t, uint64_t, uint64_t) {
    if (const int result = begin_mapping()) {
        return result;
    }
    if (bytes == 0 || bytes % GRANULARITY != 0) {
        return INVALID_VALUE;
    }
    void *memory = allocate(bytes);
    *address = reinterpret_cast<uint64_t>(memory);
    return memory == nullptr ? OUT_OF_MEMORY : SUCCESS;
}

DRIVER cuMemAddressFree(uint64_t address, size_t) {
    return cuMemFree_v2(address);
}

DRIVER cuMemMap(uint64_t address, size_t bytes, size_t offset, uint64_t handle, uint64_t) {
    if (const int result = begin_mapping()) {
        return result;
    }
    std::string text;
    std::lock_guard lock(mapped.mutex);
    const auto found = mapped.sizes.find(handle);
    return offset != 0 || found == mapped.sizes.end() || found->second != bytes ||
                   !check_range(reinterpret_cast<void *>(address), bytes, false, text)
               ? INVALID_VALUE
               : SUCCESS;
}

DRIVER cuMemUnmap(uint64_t address, size_t) {
    graft_emulator_unprotect(address);
    return usable();
}

DRIVER cuMemSetAccess(uint64_t address, size_t bytes, const Access *access, size_t count) {
    if (const int result = begin_mapping()) {
        return result;
    }
    if (count != 1 || (access->flags != READ && access->flags != READ_WRITE)) {
        return INVALID_VALUE;
    }
    graft_emulator_unprotect(address);
    return access->flags == READ ? map_read_only(address, bytes) : SUCCESS;
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
