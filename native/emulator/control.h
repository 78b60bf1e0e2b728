/*
 * What tests tell the emulated device and ask of it. Exported by the emulated libcuda.so.1 beside the driver's functions; a real driver
 * has none of these. All may be called from any thread.
 *
 * Settings start from the environment where it has them: GRAFT_EMULATOR_DESCENDING (0 or 1), GRAFT_EMULATOR_VERIFY (0 or 1),
 * GRAFT_EMULATOR_MULTIPROCESSORS, GRAFT_EMULATOR_WORKERS, GRAFT_EMULATOR_CAPABILITY, GRAFT_EMULATOR_DEVICE_BYTES, GRAFT_EMULATOR_SHARED_BYTES.
 */
#ifndef GRAFT_EMULATOR_CONTROL_H
#define GRAFT_EMULATOR_CONTROL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GRAFT_EMULATOR_API
#define GRAFT_EMULATOR_API __attribute__((visibility("default")))
#endif

/* Settings, counters, faults to come, the context's error and violations as they were at the start; protections are lifted. Memory and
 * handles that are alive stay so. */
GRAFT_EMULATOR_API void graft_emulator_reset(void);

/* ---- order: what misses a barrier gives different results in the two orders */

/* 0 (default): threads, warps and blocks run from the first to the last. 1: from the last to the first. */
GRAFT_EMULATOR_API void graft_emulator_set_descending(int32_t descending);

/* 0 (default): launches are done at once. 1: launches on a stream that is not the oldest one are put off until somebody waits for them
 * (the stream, or an event recorded after them), so that work that forgot to wait comes too early. Copies and products are not. */
GRAFT_EMULATOR_API void graft_emulator_set_late(int32_t late);

/* ---- the device */

/* Bytes of device memory; default 2 GiB. What is allocated already stays. */
GRAFT_EMULATOR_API void graft_emulator_set_device_bytes(int64_t bytes);

/* The compute capability, 90 for 9.0; default 89. */
GRAFT_EMULATOR_API void graft_emulator_set_capability(int32_t capability);

/* The most shared memory a block may ask for; default 99 KiB, what every GPU since 8.0 has. */
GRAFT_EMULATOR_API void graft_emulator_set_shared_bytes(int64_t bytes);

/* Multiprocessors that the device says it has; default 4. */
GRAFT_EMULATOR_API void graft_emulator_set_multiprocessors(int32_t count);

/* Threads of the operating system that run the blocks of a launch; default 1. */
GRAFT_EMULATOR_API void graft_emulator_set_workers(int32_t count);

/* ---- faults */

enum {
    GRAFT_EMULATOR_ALLOCATION = 0,        /* of device memory; fails with CUDA_ERROR_OUT_OF_MEMORY */
    GRAFT_EMULATOR_LAUNCH = 1,            /* a kernel or a matrix product; fails as said below */
    GRAFT_EMULATOR_COPY = 2,              /* a copy or memset of any kind; fails with CUDA_ERROR_ILLEGAL_ADDRESS */
    GRAFT_EMULATOR_PINNED_ALLOCATION = 3, /* of pinned host memory; fails with CUDA_ERROR_OUT_OF_MEMORY */
    GRAFT_EMULATOR_MAPPING = 4,           /* of memory to an address, or a change of access; fails with CUDA_ERROR_NOT_SUPPORTED */
    GRAFT_EMULATOR_KINDS = 5
};

/* Makes the n-th operation of a kind from now on fail, once: 1 is the next one. 0 takes that back. Returns 0, or 1 where the arguments
 * make no sense. An operation that fails has no effect. */
GRAFT_EMULATOR_API int32_t graft_emulator_fail(int32_t kind, int64_t nth);

/* Operations of a kind since the last reset, those that failed included; -1 where there is no such kind. */
GRAFT_EMULATOR_API int64_t graft_emulator_count(int32_t kind);

/*
 * 0 (default): a launch that fails says so itself. One made to fail returns CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES and leaves the context as
 * it was. 1: launches return success; the failure (CUDA_ERROR_LAUNCH_FAILED) is returned by the next call that waits, copies or
 * allocates, and by every later one; launches until then do nothing.
 * With either, after a kernel that went wrong by itself (divergence, misaligned access, memory overwritten, ...) every later call on
 * the context returns CUDA_ERROR_LAUNCH_FAILED, until the primary context is reset or released by its last owner.
 */
GRAFT_EMULATOR_API void graft_emulator_set_asynchronous_failures(int32_t asynchronous);

/* ---- what is alive */

GRAFT_EMULATOR_API int64_t graft_emulator_live_bytes(void);        /* of device memory, as asked for */
GRAFT_EMULATOR_API int64_t graft_emulator_live_allocations(void);  /* of device memory */
GRAFT_EMULATOR_API int64_t graft_emulator_live_pinned_bytes(void); /* of host memory */

enum {
    GRAFT_EMULATOR_STREAM = 0,
    GRAFT_EMULATOR_EVENT = 1,
    GRAFT_EMULATOR_CONTEXT = 2, /* owners of the primary context */
    GRAFT_EMULATOR_CUBLAS = 3,
    GRAFT_EMULATOR_MAPPED_MEMORY = 4, /* outlive a context, but for one that failed */
    GRAFT_EMULATOR_HANDLES = 5
};

/* Handles of one kind, or -1 where there is no such kind. */
GRAFT_EMULATOR_API int64_t graft_emulator_live_handles(int32_t kind);

/* ---- memory that is looked after */

/* Declares bytes of live device memory read-only: copies, memsets and products into them fail, and a kernel that changed them is found
 * when memory is verified. Returns 0, or 1 where they are not inside one live allocation. */
GRAFT_EMULATOR_API int32_t graft_emulator_protect(uint64_t address, int64_t bytes);

/* Lifts the protection of the range that starts at this address. Returns 0, or 1 where there is none. */
GRAFT_EMULATOR_API int32_t graft_emulator_unprotect(uint64_t address);

/* Verifies now what surrounds every allocation, freed memory that is kept for a while, and protected ranges. Returns 0, or 1 where
 * something was written that should not be: see the last violation. */
GRAFT_EMULATOR_API int32_t graft_emulator_check(void);

/* 1: verify what surrounds allocations and protected ranges after each launch, product and copy, which then fails by itself. 0 (default):
 * when memory is freed and on a check, and as with 1 while the driver was told to map any memory read-only. Freed memory is verified on a
 * check and when it is let go. */
GRAFT_EMULATOR_API void graft_emulator_set_verify(int32_t verify);

/* Violations since the last reset: kernels that went wrong, memory overwritten, ranges outside live memory, invalid handles. */
GRAFT_EMULATOR_API int64_t graft_emulator_violations(void);

/* The text of the last one, "" where there was none; valid until this thread's next call. */
GRAFT_EMULATOR_API const char *graft_emulator_last_violation(void);

#ifdef __cplusplus
}
#endif

#endif
