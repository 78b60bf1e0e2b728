/*
 * What the attention kernels share: operands by head, a block's sequence, and the mask.
 *
 * In bf16, scores are kept in units of log2: p = 2^(c q.k - m) with c = scale log2(e), one fused multiply-add and one exp2 an element.
 */
#pragma once

#include <cfloat>
#include <climits>
#include <cmath>

#include "device.cuh"

namespace graft {

constexpr double LOG2_E = 1.4426950408889634;
constexpr float LN_2 = 0.6931471805599453f;

/* 2^x to 2 units in the last place: one instruction of the special function unit, small results flushed to 0. */
__device__ __forceinline__ float exp2_fast(float x) {
#ifdef GRAFT_EMULATE
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}

/* A matrix of heads side by side. */
template <class T>
struct HeadMatrix {
    T *data;
    int64_t pitch;
    bool packed; /* every head's rows can be read and written in 16-byte packs */

    __device__ __forceinline__ T *at(int64_t row, int column) const {
        return data + row * pitch + column;
    }
};

template <class T>
HeadMatrix<T> head_matrix(T *data, int64_t pitch, int head_dim) {
    return {data, pitch, is_packed<T>(data, pitch, head_dim)};
}

struct Sequence {
    int query_start, query_length, key_start, key_length;

    /* The position of query 0 among the keys. */
    __device__ __forceinline__ int offset() const {
        return key_length - query_length;
    }
};

__device__ __forceinline__ Sequence sequence_of(const graft_attention &a, int index) {
    const int *column = a.sequences + index;
    const int n = a.sequence_count;
    return {column[0], column[n], column[2 * n], column[3 * n]};
}

__device__ __forceinline__ bool sees(int position, int key, int window) {
    return static_cast<unsigned>(position - key) < static_cast<unsigned>(window);
}

/* Whether some query at [first, last_position] sees some key of [first_key, last_key]. */
__device__ __forceinline__ bool any_sees(int first_position, int last_position, int first_key, int last_key, int window) {
    return first_key <= last_position && last_key > first_position - window;
}

/* Whether every query at [first, last_position] sees every key of [first_key, last_key]: no mask is needed. */
__device__ __forceinline__ bool all_see(int first_position, int last_position, int first_key, int last_key, int window) {
    return last_key <= first_position && first_key > last_position - window;
}

/* The first query of a key tile's range, and the one after its last. */
struct QueryRange {
    int first, end;
};

/* The queries of `sequence` that see a key of [first_key, last_key], the first rounded down to a multiple of `tile`. */
__device__ __forceinline__ QueryRange queries_of(const Sequence &sequence, int first_key, int last_key, int window, int tile) {
    const int64_t end = static_cast<int64_t>(last_key) + window - sequence.offset();
    return {max(0, first_key - sequence.offset()) / tile * tile,
            static_cast<int>(end < sequence.query_length ? max(static_cast<int>(end), 0) : sequence.query_length)};
}

/* A tile of queries of a head. */
struct QueryTile {
    int head, query;
};

/* The one after it, of the next head where this one's queries are through. */
__device__ __forceinline__ QueryTile next_tile(QueryTile current, QueryRange range, int tile) {
    const bool same_head = current.query + tile < range.end;
    return {same_head ? current.head : current.head + 1, same_head ? current.query + tile : range.first};
}

/* The first key that a query at `first_position` or behind it sees, rounded down to a multiple of `tile`. */
__device__ __forceinline__ int first_key_of(int first_position, int window, int tile) {
    return max(0, first_position - window + 1) / tile * tile;
}

template <class T>
struct ForwardOperands {
    HeadMatrix<const T> q, k, v;
    HeadMatrix<T> o;
    float *log_sum_exp;
    int64_t log_sum_exp_pitch;
};

template <class T>
struct BackwardOperands {
    HeadMatrix<const T> q, k, v, o, d_o;
    HeadMatrix<T> dq, dk, dv;
    const float *log_sum_exp;
    int64_t log_sum_exp_pitch;
    float *delta; /* [H, M] */
    int64_t query_rows;
};

/* Of a tile of queries, the first QUERIES threads get log_sum_exp in units of log2, the next ones delta; beyond the sequence such that p
 * comes out as 0. */
template <int QUERIES>
__device__ __forceinline__ float query_statistic(const BackwardOperands<bf16> &operands, const Sequence &sequence, int head, int query) {
    const int thread = threadIdx.x;
    const bool inside = query + thread % QUERIES < sequence.query_length;
    const int64_t row = sequence.query_start + query + thread % QUERIES;
    if (thread < QUERIES) {
        return inside ? operands.log_sum_exp[row * operands.log_sum_exp_pitch + head] * static_cast<float>(LOG2_E) : INFINITY;
    }
    return inside && thread < 2 * QUERIES ? operands.delta[head * operands.query_rows + row] : 0.0f;
}

/* The maximum of no scores. Finite: subtracted from a masked score it leaves -inf, where a row's window starts behind a tile. */
constexpr float NO_SCORE = -FLT_MAX;

/* Refuses what the kernels do not compute, and writes "no window" as the largest one. */
inline int32_t check_attention(const char *operation, int32_t dtype, graft_attention &a) {
    if (dtype != GRAFT_F32 && dtype != GRAFT_BF16) {
        return fail(GRAFT_INVALID_ARGUMENT, operation, "dtype must be F32 or BF16");
    }
    if (a.head_dim < 1 || a.head_dim > 256) {
        return fail(GRAFT_INVALID_ARGUMENT, operation, "head_dim must be 1 to 256");
    }
    if (a.key_value_heads < 1 || a.heads < 1 || a.heads % a.key_value_heads != 0) {
        return fail(GRAFT_INVALID_ARGUMENT, operation, "key_value_heads must divide heads");
    }
    if (a.window < 0 || !(a.scale > 0)) {
        return fail(GRAFT_INVALID_ARGUMENT, operation, "scale must be positive, window not negative");
    }
    a.window = a.window == 0 ? INT_MAX : a.window;
    return GRAFT_OK;
}

} // namespace graft
