/* The emulated driver: memory that is looked after, faults that are asked for, errors that stay. */
#include <cmath>
#include <cstring>
#include <vector>

#include "check.h"
#include "device.cuh"
#include "driver_api.h"
#include "emulator/control.h"

using namespace graft;
using namespace test;

namespace {

/* A context as new, current; all that it owns goes with it. */
struct Context {
    Context() {
        graft_emulator_reset();
        void *context;
        CHECK(cuInit(0) == 0);
        CHECK(cuDevicePrimaryCtxRetain(&context, 0) == 0);
        CHECK(cuCtxSetCurrent(context) == 0);
    }
    ~Context() {
        CHECK(cuDevicePrimaryCtxRelease_v2(0) == 0);
        CHECK(graft_emulator_live_bytes() == 0);
        CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_CONTEXT) == 0);
        CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_MAPPED_MEMORY) == 0);
    }
};

uint64_t allocated(size_t bytes) {
    uint64_t address = 0;
    CHECK(cuMemAlloc_v2(&address, bytes) == 0);
    CHECK(address % 256 == 0);
    return address;
}

std::string violation() {
    return graft_emulator_last_violation();
}

__global__ void write_at(uint8_t *memory, int64_t offset, uint8_t value) {
    memory[offset] = value;
}

int32_t write(uint64_t address, int64_t offset) {
    return launch("write", write_at, dim3(1), dim3(1), 0, nullptr, reinterpret_cast<uint8_t *>(address), offset, uint8_t{1});
}

/* ---- memory */

void memory_is_counted_and_poisoned() {
    Context context;
    size_t free_bytes, total;
    graft_emulator_set_device_bytes(1 << 20);
    const uint64_t a = allocated(1000);
    CHECK(graft_emulator_live_bytes() == 1000);
    CHECK(graft_emulator_live_allocations() == 1);
    CHECK(cuMemGetInfo_v2(&free_bytes, &total) == 0);
    CHECK(total == 1 << 20 && free_bytes == (1 << 20) - 1024);
    std::vector<float> host(250);
    CHECK(cuMemcpyDtoHAsync_v2(host.data(), a, 1000, nullptr) == 0);
    CHECK(std::isnan(host[0]) && std::isnan(host[249]));
    uint64_t b;
    CHECK(cuMemAlloc_v2(&b, 1 << 20) == OUT_OF_MEMORY);
    CHECK(cuMemAlloc_v2(&b, 0) == INVALID_VALUE);
    CHECK(cuMemFree_v2(a) == 0);
    CHECK(graft_emulator_live_bytes() == 0);
    CHECK(cuMemAlloc_v2(&b, 1 << 20) == 0);
    CHECK(cuMemFree_v2(b) == 0);
    CHECK(graft_emulator_violations() == 0);
}

void copies_move_bytes() {
    Context context;
    std::vector<uint8_t> host(64), back(64);
    for (size_t i = 0; i < host.size(); i++) {
        host[i] = static_cast<uint8_t>(i);
    }
    const uint64_t a = allocated(64);
    const uint64_t b = allocated(64);
    CHECK(cuMemcpyHtoDAsync_v2(a, host.data(), 64, nullptr) == 0);
    CHECK(cuMemcpyDtoDAsync_v2(b, a, 64, nullptr) == 0);
    CHECK(cuMemcpyDtoHAsync_v2(back.data(), b, 64, nullptr) == 0);
    CHECK(back == host);
    CHECK(cuMemsetD32Async(b, 0x01020304, 2, nullptr) == 0);
    CHECK(cuMemsetD2D8Async(b + 16, 16, 0xaa, 3, 3, nullptr) == 0);
    CHECK(cuMemcpyDtoHAsync_v2(back.data(), b, 64, nullptr) == 0);
    CHECK(back[0] == 4 && back[7] == 1 && back[8] == 8);
    CHECK(back[16] == 0xaa && back[18] == 0xaa && back[19] == 19 && back[32] == 0xaa && back[50] == 0xaa && back[51] == 51);
    /* CUDA_MEMCPY2D: four rows of 4 bytes, 16 apart, into rows 4 apart */
    struct {
        size_t source_x, source_y;
        uint32_t source_type;
        const void *source_host;
        uint64_t source_device;
        void *source_array;
        size_t source_pitch, to_x, to_y;
        uint32_t to_type;
        void *to_host;
        uint64_t to_device;
        void *to_array;
        size_t to_pitch, width, height;
    } rows{4, 0, 2, nullptr, a, nullptr, 16, 0, 0, 1, back.data(), 0, nullptr, 4, 4, 4};
    CHECK(cuMemcpy2DAsync_v2(&rows, nullptr) == 0);
    CHECK(back[0] == 4 && back[3] == 7 && back[4] == 20 && back[15] == 55);
    rows.height = 5;
    CHECK(cuMemcpy2DAsync_v2(&rows, nullptr) == INVALID_VALUE);
    CHECK(graft_emulator_count(GRAFT_EMULATOR_COPY) == 8);
}

void copies_stay_inside_their_allocation() {
    Context context;
    std::vector<uint8_t> host(128);
    const uint64_t a = allocated(100);
    CHECK(cuMemcpyHtoDAsync_v2(a, host.data(), 101, nullptr) == INVALID_VALUE);
    CHECK_CONTAINS(violation(), "only 100 are left");
    CHECK(cuMemcpyDtoHAsync_v2(host.data(), a + 50, 51, nullptr) == INVALID_VALUE);
    CHECK(cuMemsetD8Async(a + 104, 0, 4, nullptr) == INVALID_VALUE);
    CHECK_CONTAINS(violation(), "lies 4 bytes past the end of 100 bytes");
    CHECK(cuMemcpyHtoDAsync_v2(reinterpret_cast<uint64_t>(host.data()), host.data(), 4, nullptr) == INVALID_VALUE);
    CHECK_CONTAINS(violation(), "no device memory");
    CHECK(cuMemFree_v2(a + 256) == INVALID_VALUE);
    CHECK(cuMemcpyHtoDAsync_v2(a + 50, host.data(), 50, nullptr) == 0);
}

void overwritten_surroundings_are_found() {
    Context context;
    const uint64_t a = allocated(100);
    CHECK(write(a, 99) == GRAFT_OK);
    CHECK(graft_emulator_check() == 0);
    CHECK(write(a, 100) == GRAFT_OK);
    CHECK(graft_emulator_check() == 1);
    CHECK_CONTAINS(violation(), "written 0 bytes past the end of memory of 100 bytes");
    CHECK(graft_emulator_check() == 0);
    CHECK(write(a, -1) == GRAFT_OK);
    CHECK(cuMemFree_v2(a) == 0);
    CHECK_CONTAINS(violation(), "written 1 bytes before the start");
    CHECK(graft_emulator_violations() == 2);
}

void use_after_free_is_found() {
    Context context;
    uint8_t host[16];
    const uint64_t a = allocated(100);
    CHECK(cuMemFree_v2(a) == 0);
    CHECK(cuMemFree_v2(a) == INVALID_VALUE);
    CHECK_CONTAINS(violation(), "freed memory");
    CHECK(cuMemcpyDtoHAsync_v2(host, a, 16, nullptr) == INVALID_VALUE);
    CHECK_CONTAINS(violation(), "freed memory");
    CHECK(write(a, 7) == GRAFT_OK);
    CHECK(graft_emulator_check() == 1);
    CHECK_CONTAINS(violation(), "written after it was freed: byte 7 of 100");
    float value;
    std::memcpy(&value, reinterpret_cast<const void *>(a + 16), sizeof value);
    CHECK(std::isnan(value));
}

void verification_names_the_launch() {
    Context context;
    graft_emulator_set_verify(1);
    const uint64_t a = allocated(100);
    CHECK(write(a, 0) == GRAFT_OK);
    CHECK(write(a, 110) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "write: written 10 bytes past the end");
    CHECK(cuCtxSynchronize() == LAUNCH_FAILED);
}

void protected_memory_does_not_change() {
    Context context;
    const uint64_t a = allocated(1024);
    CHECK(graft_emulator_protect(a, 1025) == 1);
    CHECK(graft_emulator_protect(a + 256, 256) == 0);
    CHECK(cuMemsetD8Async(a, 0, 256, nullptr) == 0);
    CHECK(cuMemsetD8Async(a + 255, 0, 2, nullptr) == INVALID_VALUE);
    CHECK_CONTAINS(violation(), "protected");
    CHECK(graft_emulator_check() == 0);
    CHECK(write(a, 300) == GRAFT_OK);
    CHECK(graft_emulator_check() == 1);
    CHECK_CONTAINS(violation(), "have changed");
    CHECK(graft_emulator_unprotect(a) == 1);
    CHECK(graft_emulator_unprotect(a + 256) == 0);
    CHECK(write(a, 301) == GRAFT_OK);
    CHECK(graft_emulator_check() == 0);
}

/* Memory and an address for it. */
struct Mapping {
    size_t bytes = 0;
    uint64_t memory = 0, address = 0;

    Mapping() {
        CHECK(cuMemGetAllocationGranularity(&bytes, nullptr, 0) == 0);
        CHECK(cuMemCreate(&memory, bytes, nullptr, 0) == 0);
        CHECK(cuMemAddressReserve(&address, bytes, 0, 0, 0) == 0);
        CHECK(cuMemMap(address, bytes, 0, memory, 0) == 0);
    }

    int allow(int flags) const {
        const int access[] = {1, 0, flags}; /* CUmemAccessDesc */
        return cuMemSetAccess(address, bytes, access, 1);
    }

    void end() const {
        CHECK(cuMemUnmap(address, bytes) == 0);
        CHECK(cuMemAddressFree(address, bytes) == 0);
        CHECK(cuMemRelease(memory) == 0);
    }
};

void memory_can_be_mapped_read_only() {
    Context context;
    const Mapping mapping;
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_MAPPED_MEMORY) == 1);
    CHECK(mapping.allow(3) == 0);
    CHECK(write(mapping.address, 0) == GRAFT_OK);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_MAPPING, 1) == 0);
    CHECK(mapping.allow(1) == NOT_SUPPORTED);
    CHECK(write(mapping.address, 1) == GRAFT_OK);
    CHECK(mapping.allow(1) == 0);
    CHECK(cuMemsetD8Async(mapping.address, 0, 1, nullptr) == INVALID_VALUE);
    CHECK(mapping.allow(3) == 0);
    CHECK(write(mapping.address, 2) == GRAFT_OK);
    mapping.end();
    CHECK(cuMemRelease(mapping.memory) == INVALID_VALUE);
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_MAPPED_MEMORY) == 0);
    uint64_t memory;
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_ALLOCATION, 1) == 0);
    CHECK(cuMemCreate(&memory, mapping.bytes, nullptr, 0) == OUT_OF_MEMORY);
    graft_emulator_set_device_bytes(100);
    CHECK(cuMemCreate(&memory, mapping.bytes, nullptr, 0) == OUT_OF_MEMORY);
}

void a_kernel_that_writes_a_read_only_mapping_fails() {
    Context context;
    const Mapping mapping;
    CHECK(mapping.allow(1) == 0);
    CHECK(write(mapping.address, 0) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "protected, have changed");
    CHECK(cuMemRelease(mapping.memory) == LAUNCH_FAILED);
}

void pinned_memory_is_counted() {
    Context context;
    void *host;
    CHECK(cuMemHostAlloc(&host, 5000, 0) == 0);
    CHECK(graft_emulator_live_pinned_bytes() == 5000);
    CHECK(cuMemFreeHost(host) == 0);
    CHECK(cuMemFreeHost(host) == INVALID_VALUE);
    CHECK(graft_emulator_live_pinned_bytes() == 0);
}

/* ---- handles */

void handles_are_counted() {
    Context context;
    void *stream, *start, *end;
    CHECK(cuStreamCreate(&stream, 0) == 0);
    CHECK(cuEventCreate(&start, 0) == 0);
    CHECK(cuEventCreate(&end, 0) == 0);
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_STREAM) == 1);
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_EVENT) == 2);
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_CONTEXT) == 1);
    float milliseconds = -1;
    CHECK(cuEventElapsedTime(&milliseconds, start, end) == INVALID_HANDLE);
    CHECK(cuEventRecord(start, stream) == 0);
    CHECK(cuEventRecord(end, stream) == 0);
    CHECK(cuEventElapsedTime(&milliseconds, start, end) == 0);
    CHECK(milliseconds >= 0);
    CHECK(cuEventDestroy_v2(start) == 0);
    CHECK(cuEventDestroy_v2(start) == INVALID_HANDLE);
    CHECK(cuStreamDestroy_v2(stream) == 0);
    CHECK(cuStreamSynchronize(stream) == INVALID_HANDLE);
    CHECK(graft_emulator_live_handles(GRAFT_EMULATOR_EVENT) == 1);
    CHECK(cuEventDestroy_v2(end) == 0);
}

void a_context_must_be_current() {
    Context context;
    uint64_t address;
    CHECK(cuCtxSetCurrent(nullptr) == 0);
    CHECK(cuMemAlloc_v2(&address, 16) == INVALID_CONTEXT);
}

/* ---- faults */

void chosen_operations_fail() {
    Context context;
    uint64_t address;
    void *host;
    const uint64_t a = allocated(64);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_KINDS, 1) == 1);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_ALLOCATION, 2) == 0);
    const uint64_t b = allocated(64);
    CHECK(cuMemAlloc_v2(&address, 64) == OUT_OF_MEMORY);
    const uint64_t c = allocated(64);
    CHECK(b != c && graft_emulator_live_bytes() == 192);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_PINNED_ALLOCATION, 1) == 0);
    CHECK(cuMemHostAlloc(&host, 64, 0) == OUT_OF_MEMORY);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_COPY, 1) == 0);
    CHECK(cuMemsetD8Async(a, 0, 64, nullptr) == ILLEGAL_ADDRESS);
    CHECK(cuMemsetD8Async(a, 0, 64, nullptr) == 0);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_LAUNCH, 2) == 0);
    CHECK(write(a, 0) == GRAFT_OK);
    CHECK(write(a, 1) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES");
    CHECK(write(a, 2) == GRAFT_OK);
    CHECK(graft_emulator_count(GRAFT_EMULATOR_ALLOCATION) == 4);
    CHECK(graft_emulator_count(GRAFT_EMULATOR_LAUNCH) == 3);
    uint8_t bytes[3];
    CHECK(cuMemcpyDtoHAsync_v2(bytes, a, 3, nullptr) == 0);
    CHECK(bytes[0] == 1 && bytes[1] == 0 && bytes[2] == 1);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_COPY, 1) == 0);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_COPY, 0) == 0);
    CHECK(cuMemcpyDtoHAsync_v2(bytes, a, 3, nullptr) == 0);
}

void late_failures_stay_until_the_context_ends() {
    Context context;
    uint8_t byte = 9;
    uint64_t address;
    const uint64_t a = allocated(64);
    CHECK(cuMemsetD8Async(a, 0, 64, nullptr) == 0);
    graft_emulator_set_asynchronous_failures(1);
    CHECK(graft_emulator_fail(GRAFT_EMULATOR_LAUNCH, 1) == 0);
    CHECK(write(a, 0) == GRAFT_OK);
    CHECK(write(a, 1) == GRAFT_OK); /* not done either */
    CHECK(cuMemcpyDtoHAsync_v2(&byte, a, 1, nullptr) == LAUNCH_FAILED);
    CHECK(byte == 9);
    CHECK(write(a, 0) == GRAFT_CUDA_ERROR);
    CHECK(cuMemAlloc_v2(&address, 64) == LAUNCH_FAILED);
    CHECK(cuMemFree_v2(a) == LAUNCH_FAILED);
    CHECK(cuDevicePrimaryCtxReset_v2(0) == 0);
    CHECK(cuCtxSynchronize() == 0);
    CHECK(graft_emulator_live_bytes() == 0);
}

} // namespace

int main() {
    RUN(memory_is_counted_and_poisoned);
    RUN(copies_move_bytes);
    RUN(copies_stay_inside_their_allocation);
    RUN(overwritten_surroundings_are_found);
    RUN(use_after_free_is_found);
    RUN(verification_names_the_launch);
    RUN(protected_memory_does_not_change);
    RUN(memory_can_be_mapped_read_only);
    RUN(a_kernel_that_writes_a_read_only_mapping_fails);
    RUN(pinned_memory_is_counted);
    RUN(handles_are_counted);
    RUN(a_context_must_be_current);
    RUN(chosen_operations_fail);
    RUN(late_failures_stay_until_the_context_ends);
    return test::result();
}
