/*
 * Gradients of attention, all "=": with P = exp(scale q k^T - log_sum_exp) under the mask and delta = sum over D of dO * O,
 *   dV = P^T dO,  dS = P * (dO V^T - delta),  dQ = scale dS K,  dK = scale dS^T Q,
 * dK and dV summed over the query heads of a key/value head.
 *
 * Three kernels. delta [H, M], float32, to scratch. Then one over tiles of keys, which walks over the queries that see them, head by
 * head, and one over tiles of queries, which walks over their keys: each sums in registers and writes once, so the order of every sum
 * is fixed. That computes S and dP twice, seven products of tiles instead of five, and needs no atomics and no M x H x D of float32.
 *
 * bf16: the walked-over tiles are double-buffered, one barrier a tile. In the kernel over keys, S^T and dP^T have keys as rows, so that P^T
 * and dS^T are left operands of the next product in the registers where they arise. With D = 128 a warp has 16 keys, whose dK and
 * dV take 128 registers; 8 warps share a tile of 32 queries: 16 KB of loads to 4 x 128 x 32 x 128 multiply-adds, 128 a byte. Shared
 * memory: K and V 64 KB, Q and dO 2 x 16 KB, and a little for their statistics. The kernel over queries has 4 warps of 32 queries and
 * tiles of 32 keys: 96 KB, two blocks on sm_90. Both fit the 99 KB of sm_86. D = 64: 32 keys a warp, half the memory. D = 256: as
 * dK and dV of 16 keys would take 256 registers, a block computes 128 of their columns, at the cost of S and dP once more.
 *
 * float32: attention_f32.cuh. Hopper's own tensor cores: attention_hopper.cu.
 */
#include "attention_f32.cuh"
#include "attention_hopper.cuh"
#include "mma_tile.cuh"

namespace graft {

/* ---- delta */

constexpr int DELTA_THREADS = 256;
constexpr int DELTA_LANES = 8;

/* delta[head, row] = sum of dO * O: eight lanes a head of a row. */
template <class T>
__global__ __launch_bounds__(DELTA_THREADS) void attention_delta(graft_attention a, BackwardOperands<T> operands) {
    constexpr int N = Pack<T>::N;
    const Sequence sequence = sequence_of(a, blockIdx.y);
    const int64_t item = (static_cast<int64_t>(blockIdx.x) * DELTA_THREADS + threadIdx.x) / DELTA_LANES;
    const int lane = threadIdx.x % DELTA_LANES;
    const int64_t row = sequence.query_start + item / a.heads;
    const int head = static_cast<int>(item % a.heads);
    const bool inside = item < static_cast<int64_t>(sequence.query_length) * a.heads;
    float sum = 0;
    if (inside) {
        const T *o = operands.o.at(row, head * a.head_dim);
        const T *d_o = operands.d_o.at(row, head * a.head_dim);
        if (operands.o.packed && operands.d_o.packed) {
            for (int i = lane * N; i < a.head_dim; i += DELTA_LANES * N) {
                const Pack<T> left = Pack<T>::load(o + i);
                const Pack<T> right = Pack<T>::load(d_o + i);
                for (int e = 0; e < N; e++) {
                    sum = fmaf(left.value[e], right.value[e], sum);
                }
            }
        } else {
            for (int i = lane; i < a.head_dim; i += DELTA_LANES) {
                sum = fmaf(to_float(o[i]), to_float(d_o[i]), sum);
            }
        }
    }
    for (int bit = DELTA_LANES / 2; bit > 0; bit /= 2) {
        sum += __shfl_xor_sync(FULL_WARP, sum, bit);
    }
    if (inside && lane == 0) {
        operands.delta[head * operands.query_rows + row] = sum;
    }
}

/* ---- bf16: keys and values */

/* M x 16 keys a warp; tiles of QUERIES; COLUMNS of dK and dV a block. */
template <int D, int M, int WARPS, int QUERIES, int COLUMNS>
struct KeyGradientShape {
    static constexpr int THREADS = WARPS * WARP;
    static constexpr int KEYS = WARPS * 16 * M;
    static constexpr int PARTS = D / COLUMNS;
    static constexpr int STAGE = 2 * QUERIES * D; /* Q and dO */
    static constexpr int SHARED_BYTES = (2 * KEYS * D + 2 * STAGE) * sizeof(bf16) + 4 * QUERIES * sizeof(float);
};

template <int D, int M, int WARPS, int QUERIES, int COLUMNS>
__global__ __launch_bounds__(WARPS * WARP, 8 / WARPS) void attention_key_gradient_bf16(graft_attention a, BackwardOperands<bf16> operands,
                                                                                      float scale_log2) {
    using Shape = KeyGradientShape<D, M, WARPS, QUERIES, COLUMNS>;
    constexpr int THREADS = Shape::THREADS;
    static_assert(2 * QUERIES <= THREADS, "each thread fetches one statistic at most");
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_key = static_cast<int>(blockIdx.x) / Shape::PARTS * Shape::KEYS;
    if (first_key >= sequence.key_length) {
        return;
    }
    const int thread = threadIdx.x;
    const int part = static_cast<int>(blockIdx.x) % Shape::PARTS * COLUMNS;
    const int key_head = blockIdx.y;
    const int group = a.heads / a.key_value_heads;
    bf16 *k_tile = shared_memory<bf16>();
    bf16 *v_tile = k_tile + Shape::KEYS * D;
    bf16 *stages = v_tile + Shape::KEYS * D;
    float *statistics = reinterpret_cast<float *>(stages + 2 * Shape::STAGE); /* per stage: log_sum_exp, delta */

    const int keys = min(Shape::KEYS, sequence.key_length - first_key);
    const QueryRange range = queries_of(sequence, first_key, first_key + keys - 1, a.window, QUERIES);
    const int end_head = range.first < range.end ? (key_head + 1) * group : 0; // 0: nobody sees these keys

    // the tile of queries of a head, to a stage
    const auto load_queries = [&](int head, int query, int place) {
        const int64_t row = sequence.query_start + query;
        bf16 *stage = stages + place * Shape::STAGE;
        load_tile<D, QUERIES, THREADS>(stage, operands.q.at(row, head * a.head_dim), operands.q.pitch, sequence.query_length - query,
                                       a.head_dim, operands.q.packed);
        load_tile<D, QUERIES, THREADS>(stage + QUERIES * D, operands.d_o.at(row, head * a.head_dim), operands.d_o.pitch,
                                       sequence.query_length - query, a.head_dim, operands.d_o.packed);
        cp_async_commit();
        return query_statistic<QUERIES>(operands, sequence, head, query); // kept in a register until the stage's place is free
    };
    const auto keep_statistic = [&](int place, float statistic) {
        if (thread < 2 * QUERIES) {
            statistics[place * 2 * QUERIES + thread] = statistic;
        }
    };

    load_tile<D, Shape::KEYS, THREADS>(k_tile, operands.k.at(sequence.key_start + first_key, key_head * a.head_dim), operands.k.pitch, keys,
                                       a.head_dim, operands.k.packed);
    load_tile<D, Shape::KEYS, THREADS>(v_tile, operands.v.at(sequence.key_start + first_key, key_head * a.head_dim), operands.v.pitch, keys,
                                       a.head_dim, operands.v.packed);
    cp_async_commit();
    int head = key_head * group;
    int query = range.first;
    int place = 0;
    if (head < end_head) {
        keep_statistic(place, load_queries(head, query, place));
    }
    const int warp_row = thread / WARP * 16 * M;
    const int warp_key = first_key + warp_row;
    const int last_key = warp_key + 16 * M - 1; // no query stands at a key beyond the sequence
    float key_gradient[M][COLUMNS / 8][4];
    float value_gradient[M][COLUMNS / 8][4];
    clear(key_gradient);
    clear(value_gradient);
    while (head < end_head) {
        cp_async_wait<0>();
        __syncthreads(); // this tile is there, and nobody reads the previous one any more
        const QueryTile next = next_tile({head, query}, range, QUERIES);
        float statistic = 0;
        if (next.head < end_head) {
            statistic = load_queries(next.head, next.query, place ^ 1);
        }
        const int first_position = sequence.offset() + query;
        const int last_position = first_position + QUERIES - 1; // where no query stands, p comes out as 0
        if (any_sees(first_position, last_position, warp_key, last_key, a.window)) {
            const bf16 *q_tile = stages + place * Shape::STAGE;
            const bf16 *d_o_tile = q_tile + QUERIES * D;
            const float *log_sum_exp = statistics + place * 2 * QUERIES; // in units of log2
            const float *delta = log_sum_exp + QUERIES;
            float probability[M][QUERIES / 8][4];
            clear(probability);
            multiply_transposed<D, M, QUERIES / 16>(probability, k_tile + warp_row * D, q_tile);
            set_sums(probability, [&](int m, int n, int i) {
                return exp2_fast(fmaf(probability[m][n][i], scale_log2, -log_sum_exp[sum_column(n, i)]));
            });
            if (!all_see(first_position, last_position, warp_key, last_key, a.window)) {
                set_sums(probability, [&](int m, int n, int i) {
                    return sees(first_position + sum_column(n, i), warp_key + sum_row(m, i), a.window) ? probability[m][n][i] : 0;
                });
            }
            multiply_weights<D, M, QUERIES / 16, COLUMNS>(value_gradient, probability, d_o_tile, part);
            float gradient[M][QUERIES / 8][4];
            clear(gradient);
            multiply_transposed<D, M, QUERIES / 16>(gradient, v_tile + warp_row * D, d_o_tile);
            set_sums(gradient, [&](int m, int n, int i) {
                return probability[m][n][i] * (gradient[m][n][i] - delta[sum_column(n, i)]);
            });
            multiply_weights<D, M, QUERIES / 16, COLUMNS>(key_gradient, gradient, q_tile, part);
        }
        place ^= 1;
        if (next.head < end_head) {
            keep_statistic(place, statistic);
        }
        head = next.head;
        query = next.query;
    }
    cp_async_wait<0>(); // where there was no tile
    __syncthreads();
    set_sums(key_gradient, [&](int m, int n, int i) { return a.scale * key_gradient[m][n][i]; });
    const Sequence again = sequence_of(a, blockIdx.z); // the loop has no registers to keep it in
    const int64_t row = again.key_start + warp_key;
    const int rows = again.key_length - warp_key;
    const int column = key_head * a.head_dim + part;
    store_sums<M, COLUMNS>(key_gradient, k_tile + warp_row * D, operands.dk.at(row, column), operands.dk.pitch, rows, a.head_dim - part,
                           operands.dk.packed);
    store_sums<M, COLUMNS>(value_gradient, v_tile + warp_row * D, operands.dv.at(row, column), operands.dv.pitch, rows, a.head_dim - part,
                           operands.dv.packed);
}

/* ---- bf16: queries */

template <int D, int M, int KEYS>
struct QueryGradientShape {
    static constexpr int THREADS = 128;
    static constexpr int QUERIES = 64 * M;
    static constexpr int STAGE = 2 * KEYS * D; /* K and V */
    static constexpr int SHARED_BYTES = (2 * QUERIES * D + 2 * STAGE) * sizeof(bf16);
};

template <int D, int M, int KEYS>
__global__ __launch_bounds__(128, 2) void attention_query_gradient_bf16(graft_attention a, BackwardOperands<bf16> operands,
                                                                        float scale_log2) {
    using Shape = QueryGradientShape<D, M, KEYS>;
    constexpr int THREADS = Shape::THREADS;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * Shape::QUERIES;
    if (first_query >= sequence.query_length) {
        return;
    }
    const int head = blockIdx.y;
    const int column = head * a.head_dim;
    const int key_column = head / (a.heads / a.key_value_heads) * a.head_dim;
    bf16 *q_tile = shared_memory<bf16>();
    bf16 *d_o_tile = q_tile + Shape::QUERIES * D;
    bf16 *stages = d_o_tile + Shape::QUERIES * D;

    const int queries = min(Shape::QUERIES, sequence.query_length - first_query);
    const int64_t first_row = sequence.query_start + first_query;
    const int end_key = sequence.offset() + first_query + queries;
    const int start_key = first_key_of(sequence.offset() + first_query, a.window, KEYS);
    const auto load_keys = [&](bf16 *stage, int key) {
        load_tile<D, KEYS, THREADS>(stage, operands.k.at(sequence.key_start + key, key_column), operands.k.pitch, sequence.key_length - key,
                                    a.head_dim, operands.k.packed);
        load_tile<D, KEYS, THREADS>(stage + KEYS * D, operands.v.at(sequence.key_start + key, key_column), operands.v.pitch,
                                    sequence.key_length - key, a.head_dim, operands.v.packed);
        cp_async_commit();
    };
    load_tile<D, Shape::QUERIES, THREADS>(q_tile, operands.q.at(first_row, column), operands.q.pitch, queries, a.head_dim,
                                          operands.q.packed);
    load_tile<D, Shape::QUERIES, THREADS>(d_o_tile, operands.d_o.at(first_row, column), operands.d_o.pitch, queries, a.head_dim,
                                          operands.d_o.packed);
    load_keys(stages, start_key);

    const int lane = threadIdx.x % WARP;
    const int warp_row = static_cast<int>(threadIdx.x) / WARP * 16 * M;
    const int first_position = sequence.offset() + first_query + warp_row;
    const int last_position = first_position + 16 * M - 1;
    float log_sum_exp[M][2];
    float delta[M][2];
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = warp_row + 16 * m + 8 * half + lane / 4;
            const bool inside = row < queries; // beyond, p comes out as 0
            log_sum_exp[m][half] = inside ? operands.log_sum_exp[(first_row + row) * operands.log_sum_exp_pitch + head] *
                                                static_cast<float>(LOG2_E)
                                          : INFINITY;
            delta[m][half] = inside ? operands.delta[head * operands.query_rows + first_row + row] : 0;
        }
    }
    float query_gradient[M][D / 8][4];
    clear(query_gradient);
    for (int key = start_key, place = 0; key < end_key; key += KEYS, place ^= Shape::STAGE) {
        cp_async_wait<0>();
        __syncthreads(); // this tile is there, and nobody reads the previous one any more
        if (key + KEYS < end_key) {
            load_keys(stages + (place ^ Shape::STAGE), key + KEYS);
        }
        if (first_position >= end_key || !any_sees(first_position, last_position, key, key + KEYS - 1, a.window)) {
            continue;
        }
        const bf16 *k_tile = stages + place;
        float score[M][KEYS / 8][4];
        float gradient[M][KEYS / 8][4];
        clear(score);
        clear(gradient);
        multiply_transposed<D, M, KEYS / 16>(score, q_tile + warp_row * D, k_tile);
        multiply_transposed<D, M, KEYS / 16>(gradient, d_o_tile + warp_row * D, k_tile + KEYS * D);
        set_sums(gradient, [&](int m, int n, int i) {
            const float p = exp2_fast(fmaf(score[m][n][i], scale_log2, -log_sum_exp[m][i / 2]));
            return p * (gradient[m][n][i] - delta[m][i / 2]);
        });
        if (!all_see(first_position, last_position, key, key + KEYS - 1, a.window)) {
            set_sums(gradient, [&](int m, int n, int i) {
                return sees(first_position + sum_row(m, i), key + sum_column(n, i), a.window) ? gradient[m][n][i] : 0;
            });
        }
        multiply_weights<D, M, KEYS / 16, D>(query_gradient, gradient, k_tile, 0);
    }
    set_sums(query_gradient, [&](int m, int n, int i) { return a.scale * query_gradient[m][n][i]; });
    const Sequence again = sequence_of(a, blockIdx.z); // the loop has no registers to keep it in
    const int row = first_query + warp_row;
    store_sums<M, D>(query_gradient, q_tile + warp_row * D, operands.dq.at(again.query_start + row, column), operands.dq.pitch,
                     again.query_length - row, a.head_dim, operands.dq.packed);
}

/* ---- launches */

template <class T>
static int32_t launch_delta(void *stream, const graft_attention &a, const BackwardOperands<T> &operands) {
    const int64_t threads = static_cast<int64_t>(a.longest_query) * a.heads * DELTA_LANES;
    const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(threads, DELTA_THREADS)), a.sequence_count);
    return launch("attention_delta", attention_delta<T>, grid, dim3(DELTA_THREADS), 0, stream, a, operands);
}

/* Key tiles of WARPS x 16 M rows by QUERIES, COLUMNS of the results a block; query tiles of 64 M_QUERIES rows by KEYS. */
template <int D, int M, int WARPS, int QUERIES, int COLUMNS, int M_QUERIES, int KEYS>
static int32_t launch_backward(void *stream, const graft_attention &a, const BackwardOperands<bf16> &operands) {
    using KeyShape = KeyGradientShape<D, M, WARPS, QUERIES, COLUMNS>;
    using QueryShape = QueryGradientShape<D, M_QUERIES, KEYS>;
    const float scale_log2 = static_cast<float>(a.scale * LOG2_E);
    const dim3 key_grid(ceil_div(a.longest_key, KeyShape::KEYS) * KeyShape::PARTS, a.key_value_heads, a.sequence_count);
    const int32_t status =
        launch("attention_key_gradient", attention_key_gradient_bf16<D, M, WARPS, QUERIES, COLUMNS>, key_grid, dim3(KeyShape::THREADS),
               KeyShape::SHARED_BYTES, stream, a, operands, scale_log2);
    if (status != GRAFT_OK) {
        return status;
    }
    const dim3 query_grid(ceil_div(a.longest_query, QueryShape::QUERIES), a.heads, a.sequence_count);
    return launch("attention_query_gradient", attention_query_gradient_bf16<D, M_QUERIES, KEYS>, query_grid, dim3(QueryShape::THREADS),
                  QueryShape::SHARED_BYTES, stream, a, operands, scale_log2);
}

} // namespace graft

int32_t graft_attention_backward(void *stream, int32_t dtype, const graft_attention *attention, const void *q, int64_t q_pitch,
                                 const void *k, int64_t k_pitch, const void *v, int64_t v_pitch, const void *o, int64_t o_pitch,
                                 const float *log_sum_exp, int64_t log_sum_exp_pitch, const void *d_o, int64_t d_o_pitch, void *dq,
                                 int64_t dq_pitch, void *dk, int64_t dk_pitch, void *dv, int64_t dv_pitch, int64_t query_rows,
                                 void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    graft_attention a = *attention;
    const int32_t status = check_attention("attention_backward", dtype, a);
    if (status != GRAFT_OK) {
        return status;
    }
    if (scratch_bytes < static_cast<int64_t>(sizeof(float)) * query_rows * a.heads) {
        return fail(GRAFT_SCRATCH_TOO_SMALL, "attention_backward", "4 bytes a query and head are needed");
    }
    const auto run = [&](auto element, auto launch_all) {
        using T = decltype(element);
        const auto input = [&](const void *data, int64_t pitch) { return head_matrix(static_cast<const T *>(data), pitch, a.head_dim); };
        const auto output = [&](void *data, int64_t pitch) { return head_matrix(static_cast<T *>(data), pitch, a.head_dim); };
        const BackwardOperands<T> operands = {input(q, q_pitch),      input(k, k_pitch),      input(v, v_pitch),
                                              input(o, o_pitch),      input(d_o, d_o_pitch),  output(dq, dq_pitch),
                                              output(dk, dk_pitch),   output(dv, dv_pitch),   log_sum_exp,
                                              log_sum_exp_pitch,      static_cast<float *>(scratch), query_rows};
        const int32_t delta_status = launch_delta(stream, a, operands);
        return delta_status == GRAFT_OK ? launch_all(operands) : delta_status;
    };
    if (dtype == GRAFT_F32) {
        return run(float{}, [&](const BackwardOperands<float> &operands) {
            return a.head_dim <= 64    ? launch_backward<64, 2>(stream, a, operands)
                   : a.head_dim <= 128 ? launch_backward<128, 2>(stream, a, operands)
                                       : launch_backward<256, 1>(stream, a, operands);
        });
    }
    return run(bf16{}, [&](const BackwardOperands<bf16> &operands) {
        if (is_for_hopper(a, operands)) {
            return launch_backward_hopper(stream, a, operands);
        }
        return a.head_dim <= 64    ? launch_backward<64, 2, 4, 32, 64, 2, 32>(stream, a, operands)
               : a.head_dim <= 128 ? launch_backward<128, 1, 8, 32, 128, 2, 32>(stream, a, operands)
                                   : launch_backward<256, 1, 4, 16, 128, 1, 16>(stream, a, operands);
    });
}
