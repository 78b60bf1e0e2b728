/*
 * The emulated multiprocessor: blocks, warps and threads, their barriers, and the collectives of a warp. Kernels see it through
 * device.h. A CUDA thread is a fiber that runs until it meets a barrier or ends; then the next thread that can run does, in the order
 * that control.h sets. All of a block's threads run on one thread of the operating system.
 */
#pragma once

#include <cstddef>
#include <cstdint>

#ifndef GRAFT_EMULATOR_API
#define GRAFT_EMULATOR_API __attribute__((visibility("default")))
#endif

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;

    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace graft::emulator {

struct Block;
struct Copies;
struct Products;

/* What the 32 lanes of a warp hand each other in a collective, and where they stand. Bit l of a mask is lane l. */
struct Warp {
    uint32_t lanes;   /* exist */
    uint32_t ready;   /* can run */
    uint32_t started; /* have a stack, or had one */
    uint32_t waiting; /* wait in the collective named below */
    uint32_t ended;
    const char *what, *file;
    int line;
    int index;
    uint32_t products; /* wgmma that it has started */

    /* Each lane fills its own place, the last one to arrive computes for all, each lane reads its own result. */
    uint32_t value[32], result[32], source[32];
    const void *row[32];
    uint32_t matrices[32][4];
    struct {
        uint32_t a[4], b[2];
        float d[4];
    } product[32];
};

struct Thread {
    uint3 index;
    int lane;
    Warp *warp;
    Block *block;
    Copies *copies;       /* its cp.async copies that have not been waited for */
    Products *products;   /* likewise its wgmma */
    uint32_t proxy_epoch; /* of fences of its for the asynchronous proxy */
    void *stack_pointer;
};

/* Who wrote 16 bytes of shared memory by cp.async, and after how many of its fences for the asynchronous proxy. */
struct Writer {
    const Thread *thread;
    uint32_t epoch;
};

struct Block {
    dim3 index, size, grid;
    unsigned char *shared;
    size_t shared_bytes;
    Writer *writers; /* of each 16 bytes */
};

/* The thread that runs. */
extern GRAFT_EMULATOR_API __thread Thread *current __attribute__((tls_model("initial-exec")));

/* Ends the launch with this text; kernel, block and thread are added. */
[[noreturn]] GRAFT_EMULATOR_API void abort_launch(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Waits for the block's other threads. */
GRAFT_EMULATOR_API void wait_for_block(const char *file, int line);

/* Waits for the warp's other lanes; the last one to arrive runs `complete`. `what` and `line` must be the same in all. */
GRAFT_EMULATOR_API void wait_for_warp(const char *what, void (*complete)(Warp &), const char *file, int line);

/* What the last lane does: nothing; result[l] = value[source[l]]; result = lanes whose value is not 0; matrices; product. */
GRAFT_EMULATOR_API void complete_sync(Warp &warp);
GRAFT_EMULATOR_API void complete_shuffle(Warp &warp);
GRAFT_EMULATOR_API void complete_ballot(Warp &warp);
GRAFT_EMULATOR_API void complete_ldmatrix(Warp &warp);
GRAFT_EMULATOR_API void complete_ldmatrix_transposed(Warp &warp);
GRAFT_EMULATOR_API void complete_mma(Warp &warp);

/* cp.async: the destination holds NaNs from the call on and the data from the wait on, the extremes of what a GPU may do. */
GRAFT_EMULATOR_API void start_copy(void *shared, const void *global, bool valid);
GRAFT_EMULATOR_API void commit_copies();
GRAFT_EMULATOR_API void wait_for_copies(unsigned pending_groups);

/* wgmma (products.cpp). Sums hold NaNs from the start of a product on, and the data from the wait on. A's rows: registers, or where those
 * are null a descriptor. */
GRAFT_EMULATOR_API uint32_t shared_address(const void *shared);
GRAFT_EMULATOR_API void fence_async_proxy();
GRAFT_EMULATOR_API void fence_products();
GRAFT_EMULATOR_API void fence_registers(const void *registers, size_t bytes); /* of the fence just made */
GRAFT_EMULATOR_API void start_product(float *registers, int columns, bool accumulate, const uint32_t *a, uint64_t a_tile, uint64_t b,
                                      bool transposed);
GRAFT_EMULATOR_API void commit_products();
GRAFT_EMULATOR_API void wait_for_products(unsigned pending_groups, const char *file, int line);

/* Ends the launch where another warp of the current one's warpgroup started its wgmma of the same number with other descriptors. */
void agree_in_warpgroup(uint64_t a_tile, uint64_t b);

/* One launch: runs body(closure) once a thread. Returns 0, or a CUresult whose text launch_error() gives. */
struct Launch {
    const char *operation;
    void (*body)(const void *closure);
    const void *closure;
    dim3 grid, block;
    size_t shared_bytes;
    void *stream;
    /* a closure of its own for a launch that is done later, and its end */
    const void *(*copy)(const void *closure);
    void (*destroy)(const void *closure);
};
GRAFT_EMULATOR_API int run_launch(const Launch &launch);
int do_launch(const Launch &launch); /* the same for one that was looked at and counted already */
GRAFT_EMULATOR_API const char *launch_error();
GRAFT_EMULATOR_API int emulated_multiprocessors();

} // namespace graft::emulator
