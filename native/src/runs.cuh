/* Pitched matrices in runs of eight consecutive elements: 16 bytes of bf16, 32 of float. Where a row does not consist of whole,
 * aligned runs, elements are read and written one by one. */
#pragma once

#include <algorithm>

#include "device.cuh"

namespace graft {

constexpr int RUN = 8;

/* Whether every run of the matrix is whole and on a 16-byte boundary. */
template <class T>
inline bool has_whole_runs(const void *address, int64_t pitch, int64_t cols) {
    return cols % RUN == 0 && is_packed<T>(address, pitch, cols);
}

/* value = address[0 .. RUN), zeros from address[left] on. */
template <class T>
__device__ __forceinline__ void load_run(float (&value)[RUN], const T *address, int64_t left, bool whole) {
    if (whole) {
        for (int first = 0; first < RUN; first += Pack<T>::N) {
            Pack<T> pack = Pack<T>::load(address + first);
            for (int i = 0; i < Pack<T>::N; i++) {
                value[first + i] = pack.value[i];
            }
        }
    } else {
        for (int i = 0; i < RUN; i++) {
            value[i] = i < left ? to_float(address[i]) : 0;
        }
    }
}

/* address[0 .. min(RUN, left)) = value. */
template <class T>
__device__ __forceinline__ void store_run(const float (&value)[RUN], T *address, int64_t left, bool whole) {
    if (whole) {
        for (int first = 0; first < RUN; first += Pack<T>::N) {
            Pack<T> pack;
            for (int i = 0; i < Pack<T>::N; i++) {
                pack.value[i] = value[first + i];
            }
            pack.store(address + first);
        }
    } else {
        for (int i = 0; i < RUN; i++) {
            if (i < left) {
                address[i] = from_float<T>(value[i]);
            }
        }
    }
}

/* Shares the runs of a matrix out to blocks of 256 threads: a row to 2^log_lanes threads, as many rows to a block as there is room
 * for, wide rows to several blocks (grid.y). */
struct RunGrid {
    static constexpr int THREADS = 256;

    int64_t rows;
    int64_t cols;
    int log_lanes;

    RunGrid(int64_t rows, int64_t cols) : rows(rows), cols(cols), log_lanes(0) {
        while (log_lanes < 8 && (RUN << log_lanes) < cols) {
            log_lanes++;
        }
    }

    dim3 blocks() const {
        const int64_t wide = ceil_div<int64_t>(cols, RUN << log_lanes);
        return dim3(static_cast<unsigned>(ceil_div<int64_t>(rows, THREADS >> log_lanes)),
                    static_cast<unsigned>(std::min<int64_t>(wide, 65535)), 1);
    }

    __device__ __forceinline__ int64_t row() const {
        return static_cast<int64_t>(blockIdx.x) * (THREADS >> log_lanes) + (threadIdx.x >> log_lanes);
    }

    /* This thread's first column; `cols` and more where it has none. */
    __device__ __forceinline__ int64_t first_col() const {
        const int lane = threadIdx.x & ((1 << log_lanes) - 1);
        return row() < rows ? ((static_cast<int64_t>(blockIdx.y) << log_lanes) + lane) * RUN : cols;
    }

    __device__ __forceinline__ int64_t col_step() const {
        return (static_cast<int64_t>(gridDim.y) << log_lanes) * RUN;
    }
};

/* How the steps of a reduction are shared out: `count` parts of `steps` each, the last one perhaps shorter. */
struct Parts {
    int64_t count;
    int64_t steps;
};

/* As many parts as give a grid of `blocks` blocks a part about two blocks for each multiprocessor, which is what it takes to keep
 * the memory busy; none shorter than `least_steps`, and no more than fit into the scratch. One part needs no scratch. */
inline Parts split_steps(int64_t steps, int64_t least_steps, int64_t blocks, int64_t part_bytes, int64_t scratch_bytes) {
    int64_t count = ceil_div<int64_t>(2 * multiprocessors(), std::max<int64_t>(blocks, 1));
    count = std::min({count, steps / least_steps, scratch_bytes / std::max<int64_t>(part_bytes, 1)});
    const int64_t each = ceil_div(std::max<int64_t>(steps, 1), std::max<int64_t>(count, 1));
    return {ceil_div(std::max<int64_t>(steps, 1), each), each};
}

} // namespace graft
