/*
 * bf16 attention, forward and backward, on Hopper's tensor cores: what attention_forward.cu and attention_backward.cu compute, with the
 * same tables, masks and order of sums, by wgmma. Compiled for sm_90a alone; heads of up to 128 columns.
 *
 * A warpgroup has 64 rows, of queries or of keys, and walks over tiles of the others, all in shared memory; P and dS stay in registers, where
 * they arise, as left operands. Tiles arrive by cp.async while the one before is computed on, one barrier a tile.
 *
 * Forward (as Shah et al., FlashAttention-3, within a warpgroup): S of a tile and the product P V of the tile before are under way together,
 * and the softmax of the former runs beside the latter. Two warpgroups with D = 128: 128 queries by 128 keys, 2 x 128^3 multiply-adds for
 * 64 KB from the L2 cache, 32 bytes a clock at 1024 multiply-adds a clock and tensor core; registers: 64 sums of S, 64 of the output, 32 of P.
 * Shared memory: Q 32 KB, K and V 2 x 32 KB each. D = 64 takes half of that, and a third warpgroup.
 *
 * Backward: dV's product runs beside the computation of dS. Over keys: 128 keys and tiles of 64 queries; a thread holds 128 sums of dK and
 * dV, 64 of S and dP, 32 of their rounded values. Over queries: 128 queries and tiles of 64 keys. Two warpgroups each, which take turns at
 * the tensor cores: while one computes P, the other's products run.
 */
#include "attention_hopper.cuh"

#include "online_softmax.cuh"
#include "wgmma_tile.cuh"

namespace graft {

/* The first row of this thread's warpgroup. The same in all of a warp, which the compiler cannot know. */
__device__ __forceinline__ int warpgroup_row() {
    return __shfl_sync(FULL_WARP, static_cast<int>(threadIdx.x) / WARPGROUP * 64, 0);
}

/* A warp's rows of a warpgroup's result, through the block's tiles, which nobody uses any more: see store_sums. */
template <int D>
__device__ __forceinline__ void store_rows(float (&sum)[1][D / 8][4], bf16 *tiles, const HeadMatrix<bf16> &matrix, int64_t first_row,
                                           int column, int rows, int cols) {
    const int warp_row = static_cast<int>(threadIdx.x) / WARP * 16;
    store_sums<1, D>(sum, tiles + warp_row * D, matrix.at(first_row + warp_row, column), matrix.pitch, rows - warp_row, cols,
                     matrix.packed);
}

/* ---- forward */

template <int D>
struct HopperForward {
    static constexpr int THREADS = (D == 64 ? 3 : 2) * WARPGROUP;
    static constexpr int QUERIES = THREADS / 2;
    static constexpr int KEYS = 128;
    static constexpr int TILE = KEYS * D;
    static constexpr int SHARED_BYTES = TILE_ALIGNMENT + (QUERIES * D + 4 * TILE) * sizeof(bf16);
};

template <int D>
__global__ __launch_bounds__(HopperForward<D>::THREADS, 1) void attention_forward_hopper(graft_attention a, ForwardOperands<bf16> operands,
                                                                                        float scale_log2) {
    using Shape = HopperForward<D>;
    constexpr int THREADS = Shape::THREADS;
    constexpr int QUERIES = Shape::QUERIES;
    constexpr int KEYS = Shape::KEYS;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * QUERIES;
    if (first_query >= sequence.query_length) {
        return;
    }
    const int head = blockIdx.y;
    const int column = head / (a.heads / a.key_value_heads) * a.head_dim;
    bf16 *q_tile = shared_tiles();
    bf16 *k_tiles = q_tile + QUERIES * D;
    bf16 *v_tiles = k_tiles + 2 * Shape::TILE;

    const int queries = min(QUERIES, sequence.query_length - first_query);
    const int end_key = sequence.offset() + first_query + queries; // what the last query sees ends here
    const int start_key = first_key_of(sequence.offset() + first_query, a.window, KEYS);
    const auto load_keys = [&](bf16 *tile, const HeadMatrix<const bf16> &matrix, int first_key) {
        load_panels<D, KEYS, THREADS>(tile, matrix.at(sequence.key_start + first_key, column), matrix.pitch,
                                      sequence.key_length - first_key, a.head_dim);
    };
    load_panels<D, QUERIES, THREADS>(q_tile, operands.q.at(sequence.query_start + first_query, head * a.head_dim), operands.q.pitch, queries,
                                     a.head_dim);
    load_keys(k_tiles, operands.k, start_key);
    cp_async_commit();

    // the tiles that this warpgroup's queries see: none where there are no queries
    const int group_row = warpgroup_row();
    const int group_position = sequence.offset() + first_query + group_row;
    const int group_start = max(start_key, first_key_of(group_position, a.window, KEYS));
    const int group_end = group_row < queries ? min(end_key, group_position + 64) : group_start;
    const int warp_row = static_cast<int>(threadIdx.x) / WARP * 16;
    const int first_position = sequence.offset() + first_query + warp_row;
    OnlineSoftmax<D, 1, KEYS> softmax;
    softmax.start();
    float score[1][KEYS / 8][4] = {};
    uint32_t weights[KEYS / 16][4]; // probabilities of the tile before
    float correction[1][2];
    const auto update = [&](int key) {
        if (!all_see(first_position, first_position + 15, key, key + KEYS - 1, a.window)) {
            set_sums(score, [&](int m, int n, int i) {
                return sees(first_position + sum_row(m, i), key + sum_column(n, i), a.window) ? score[m][n][i] : -INFINITY;
            });
        }
        const bool corrected = softmax.raise_maximum(score, scale_log2, correction);
        if (corrected) {
            softmax.correct_sum(correction);
        }
        softmax.add(score, scale_log2);
        return corrected;
    };
    for (int key = start_key, place = 0; key < end_key + KEYS; key += KEYS, place ^= 1) {
        bf16 *k_tile = k_tiles + place * Shape::TILE;
        const bf16 *v_before = v_tiles + (place ^ 1) * Shape::TILE;
        tiles_loaded(); // K of this tile and V of the one before
        if (key + KEYS < end_key) {
            load_keys(k_tiles + (place ^ 1) * Shape::TILE, operands.k, key + KEYS);
        }
        if (key < end_key) {
            load_keys(v_tiles + place * Shape::TILE, operands.v, key);
        }
        cp_async_commit();
        const bool is_first = key == group_start && key < group_end;
        if (is_first) {
            wgmma_fence(score[0]);
            start_transposed<D, QUERIES, KEYS>(score[0], q_tile, group_row, k_tile);
            wgmma_commit();
            wgmma_wait<0>(score[0]);
            update(key); // there is no output to correct
            round_weights<KEYS>(weights, score[0]);
        } else if (key > group_start && key < group_end) {
            wgmma_fence(score[0], weights, softmax.output[0]);
            start_transposed<D, QUERIES, KEYS>(score[0], q_tile, group_row, k_tile);
            wgmma_commit();
            start_weighted<D, KEYS>(softmax.output[0], weights, v_before);
            wgmma_commit();
            wgmma_wait<1>(score[0]);
            const bool corrected = update(key);
            wgmma_wait<0>(softmax.output[0], weights);
            if (corrected) {
                softmax.correct_output(correction);
            }
            round_weights<KEYS>(weights, score[0]);
        } else if (key > group_start && key < group_end + KEYS) {
            wgmma_fence(weights, softmax.output[0]);
            start_weighted<D, KEYS>(softmax.output[0], weights, v_before);
            wgmma_commit();
            wgmma_wait<0>(softmax.output[0], weights);
        }
    }
    cp_async_wait<0>(); // where there was no tile
    __syncthreads();    // the last ones are read
    softmax.finish([&](int m, int half, float log_sum_exp) {
        const int row = warp_row + sum_row(m, 2 * half);
        if (row < queries) {
            operands.log_sum_exp[(sequence.query_start + first_query + row) * operands.log_sum_exp_pitch + head] = log_sum_exp;
        }
    });
    store_rows<D>(softmax.output, q_tile, operands.o, sequence.query_start + first_query, head * a.head_dim, queries, a.head_dim);
}

template <int D>
static int32_t launch_forward(void *stream, const graft_attention &a, const ForwardOperands<bf16> &operands) {
    using Shape = HopperForward<D>;
    const dim3 grid(ceil_div(a.longest_query, Shape::QUERIES), a.heads, a.sequence_count);
    return launch("attention_forward", attention_forward_hopper<D>, grid, dim3(Shape::THREADS), Shape::SHARED_BYTES, stream, a, operands,
                  static_cast<float>(a.scale * LOG2_E));
}

int32_t launch_forward_hopper(void *stream, const graft_attention &a, const ForwardOperands<bf16> &operands) {
    return a.head_dim <= 64 ? launch_forward<64>(stream, a, operands) : launch_forward<128>(stream, a, operands);
}

/* ---- backward: keys and values */

template <int D>
struct HopperKeyGradient {
    static constexpr int THREADS = 2 * WARPGROUP;
    static constexpr int KEYS = 128;
    static constexpr int QUERIES = 64;
    static constexpr int TILE = QUERIES * D;
    static constexpr int STAGE = 2 * TILE; /* Q and dO */
    static constexpr int SHARED_BYTES = TILE_ALIGNMENT + (2 * KEYS * D + 2 * STAGE) * sizeof(bf16) + 4 * QUERIES * sizeof(float);
};

template <int D>
__global__ __launch_bounds__(HopperKeyGradient<D>::THREADS, 1) void attention_key_gradient_hopper(graft_attention a,
                                                                                                 BackwardOperands<bf16> operands,
                                                                                                 float scale_log2) {
    using Shape = HopperKeyGradient<D>;
    constexpr int THREADS = Shape::THREADS;
    constexpr int KEYS = Shape::KEYS;
    constexpr int QUERIES = Shape::QUERIES;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_key = static_cast<int>(blockIdx.x) * KEYS;
    if (first_key >= sequence.key_length) {
        return;
    }
    const int thread = threadIdx.x;
    const int key_head = blockIdx.y;
    const int group = a.heads / a.key_value_heads;
    bf16 *k_tile = shared_tiles();
    bf16 *v_tile = k_tile + KEYS * D;
    bf16 *stages = v_tile + KEYS * D;
    float *statistics = reinterpret_cast<float *>(stages + 2 * Shape::STAGE); /* per stage: log_sum_exp, delta */

    const int keys = min(KEYS, sequence.key_length - first_key);
    const QueryRange range = queries_of(sequence, first_key, first_key + keys - 1, a.window, QUERIES);
    const int end_head = range.first < range.end ? (key_head + 1) * group : 0; // 0: nobody sees these keys

    // the tile of queries of a head, to a stage
    const auto load_queries = [&](int head, int query, int place) {
        const int64_t row = sequence.query_start + query;
        bf16 *stage = stages + place * Shape::STAGE;
        load_panels<D, QUERIES, THREADS>(stage, operands.q.at(row, head * a.head_dim), operands.q.pitch, sequence.query_length - query,
                                         a.head_dim);
        load_panels<D, QUERIES, THREADS>(stage + Shape::TILE, operands.d_o.at(row, head * a.head_dim), operands.d_o.pitch,
                                         sequence.query_length - query, a.head_dim);
        cp_async_commit();
        return query_statistic<QUERIES>(operands, sequence, head, query); // kept in a register until the stage's place is free
    };
    const auto keep_statistic = [&](int place, float statistic) {
        if (thread < 2 * QUERIES) {
            statistics[place * 2 * QUERIES + thread] = statistic;
        }
    };

    load_panels<D, KEYS, THREADS>(k_tile, operands.k.at(sequence.key_start + first_key, key_head * a.head_dim), operands.k.pitch, keys,
                                  a.head_dim);
    load_panels<D, KEYS, THREADS>(v_tile, operands.v.at(sequence.key_start + first_key, key_head * a.head_dim), operands.v.pitch, keys,
                                  a.head_dim);
    cp_async_commit();
    int head = key_head * group;
    int query = range.first;
    int place = 0;
    if (head < end_head) {
        keep_statistic(place, load_queries(head, query, place));
    }
    const int group_row = warpgroup_row();
    const int group_key = first_key + group_row;
    const int warp_key = first_key + thread / WARP * 16;
    float key_gradient[1][D / 8][4];
    float value_gradient[1][D / 8][4];
    clear(key_gradient);
    clear(value_gradient);
    while (head < end_head) {
        tiles_loaded(); // this tile is there, and nobody reads the previous one any more
        const QueryTile next = next_tile({head, query}, range, QUERIES);
        float statistic = 0;
        if (next.head < end_head) {
            statistic = load_queries(next.head, next.query, place ^ 1);
        }
        const int first_position = sequence.offset() + query;
        const int last_position = first_position + QUERIES - 1; // where no query stands, p comes out as 0
        if (any_sees(first_position, last_position, group_key, group_key + 63, a.window)) {
            const bf16 *q_tile = stages + place * Shape::STAGE;
            const bf16 *d_o_tile = q_tile + Shape::TILE;
            const float *log_sum_exp = statistics + place * 2 * QUERIES; // in units of log2
            const float *delta = log_sum_exp + QUERIES;
            float probability[1][QUERIES / 8][4];
            float gradient[1][QUERIES / 8][4];
            uint32_t weights[QUERIES / 16][4];
            uint32_t gradient_weights[QUERIES / 16][4];
            wgmma_fence(probability[0], gradient[0]);
            start_transposed<D, KEYS, QUERIES>(probability[0], k_tile, group_row, q_tile);
            wgmma_commit();
            start_transposed<D, KEYS, QUERIES>(gradient[0], v_tile, group_row, d_o_tile);
            wgmma_commit();
            wgmma_wait<1>(probability[0]);
            set_sums(probability, [&](int m, int n, int i) {
                return exp2_fast(fmaf(probability[m][n][i], scale_log2, -log_sum_exp[sum_column(n, i)]));
            });
            if (!all_see(first_position, last_position, warp_key, warp_key + 15, a.window)) {
                set_sums(probability, [&](int m, int n, int i) {
                    return sees(first_position + sum_column(n, i), warp_key + sum_row(m, i), a.window) ? probability[m][n][i] : 0;
                });
            }
            round_weights<QUERIES>(weights, probability[0]);
            wgmma_fence(weights, value_gradient[0]);
            start_weighted<D, QUERIES>(value_gradient[0], weights, d_o_tile);
            wgmma_commit();
            wgmma_wait<1>(gradient[0]);
            set_sums(gradient, [&](int m, int n, int i) {
                return probability[m][n][i] * (gradient[m][n][i] - delta[sum_column(n, i)]);
            });
            round_weights<QUERIES>(gradient_weights, gradient[0]);
            wgmma_fence(gradient_weights, key_gradient[0]);
            start_weighted<D, QUERIES>(key_gradient[0], gradient_weights, q_tile);
            wgmma_commit();
            wgmma_wait<0>(value_gradient[0], key_gradient[0], weights, gradient_weights);
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
    const int rows = again.key_length - first_key;
    const int column = key_head * a.head_dim;
    store_rows<D>(key_gradient, k_tile, operands.dk, again.key_start + first_key, column, rows, a.head_dim);
    store_rows<D>(value_gradient, v_tile, operands.dv, again.key_start + first_key, column, rows, a.head_dim);
}

/* ---- backward: queries */

template <int D>
struct HopperQueryGradient {
    static constexpr int THREADS = 2 * WARPGROUP;
    static constexpr int QUERIES = 128;
    static constexpr int KEYS = 64;
    static constexpr int TILE = KEYS * D;
    static constexpr int STAGE = 2 * TILE; /* K and V */
    static constexpr int SHARED_BYTES = TILE_ALIGNMENT + (2 * QUERIES * D + 2 * STAGE) * sizeof(bf16);
};

template <int D>
__global__ __launch_bounds__(HopperQueryGradient<D>::THREADS, 1) void attention_query_gradient_hopper(graft_attention a,
                                                                                                     BackwardOperands<bf16> operands,
                                                                                                     float scale_log2) {
    using Shape = HopperQueryGradient<D>;
    constexpr int THREADS = Shape::THREADS;
    constexpr int QUERIES = Shape::QUERIES;
    constexpr int KEYS = Shape::KEYS;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * QUERIES;
    if (first_query >= sequence.query_length) {
        return;
    }
    const int head = blockIdx.y;
    const int column = head * a.head_dim;
    const int key_column = head / (a.heads / a.key_value_heads) * a.head_dim;
    bf16 *q_tile = shared_tiles();
    bf16 *d_o_tile = q_tile + QUERIES * D;
    bf16 *stages = d_o_tile + QUERIES * D;

    const int queries = min(QUERIES, sequence.query_length - first_query);
    const int64_t first_row = sequence.query_start + first_query;
    const int end_key = sequence.offset() + first_query + queries;
    const int start_key = first_key_of(sequence.offset() + first_query, a.window, KEYS);
    const auto load_keys = [&](bf16 *stage, int key) {
        const int64_t row = sequence.key_start + key;
        load_panels<D, KEYS, THREADS>(stage, operands.k.at(row, key_column), operands.k.pitch, sequence.key_length - key, a.head_dim);
        load_panels<D, KEYS, THREADS>(stage + Shape::TILE, operands.v.at(row, key_column), operands.v.pitch, sequence.key_length - key,
                                      a.head_dim);
        cp_async_commit();
    };
    load_panels<D, QUERIES, THREADS>(q_tile, operands.q.at(first_row, column), operands.q.pitch, queries, a.head_dim);
    load_panels<D, QUERIES, THREADS>(d_o_tile, operands.d_o.at(first_row, column), operands.d_o.pitch, queries, a.head_dim);
    load_keys(stages, start_key);

    const int group_row = warpgroup_row();
    const int group_position = sequence.offset() + first_query + group_row;
    const int warp_row = static_cast<int>(threadIdx.x) / WARP * 16;
    const int first_position = sequence.offset() + first_query + warp_row;
    float log_sum_exp[2];
    float delta[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = warp_row + sum_row(0, 2 * half);
        const bool inside = row < queries; // beyond, p comes out as 0
        log_sum_exp[half] =
            inside ? operands.log_sum_exp[(first_row + row) * operands.log_sum_exp_pitch + head] * static_cast<float>(LOG2_E) : INFINITY;
        delta[half] = inside ? operands.delta[head * operands.query_rows + first_row + row] : 0;
    }
    float query_gradient[1][D / 8][4];
    clear(query_gradient);
    for (int key = start_key, place = 0; key < end_key; key += KEYS, place ^= Shape::STAGE) {
        tiles_loaded(); // this tile is there, and nobody reads the previous one any more
        if (key + KEYS < end_key) {
            load_keys(stages + (place ^ Shape::STAGE), key + KEYS);
        }
        if (group_row >= queries || !any_sees(group_position, group_position + 63, key, key + KEYS - 1, a.window)) {
            continue;
        }
        const bf16 *k_tile = stages + place;
        float score[1][KEYS / 8][4];
        float gradient[1][KEYS / 8][4];
        uint32_t weights[KEYS / 16][4];
        wgmma_fence(score[0], gradient[0]);
        start_transposed<D, QUERIES, KEYS>(score[0], q_tile, group_row, k_tile);
        wgmma_commit();
        start_transposed<D, QUERIES, KEYS>(gradient[0], d_o_tile, group_row, k_tile + Shape::TILE);
        wgmma_commit();
        wgmma_wait<1>(score[0]);
        set_sums(score, [&](int m, int n, int i) { return exp2_fast(fmaf(score[m][n][i], scale_log2, -log_sum_exp[i / 2])); });
        if (!all_see(first_position, first_position + 15, key, key + KEYS - 1, a.window)) {
            set_sums(score, [&](int m, int n, int i) {
                return sees(first_position + sum_row(m, i), key + sum_column(n, i), a.window) ? score[m][n][i] : 0;
            });
        }
        wgmma_wait<0>(gradient[0]);
        set_sums(gradient, [&](int m, int n, int i) { return score[m][n][i] * (gradient[m][n][i] - delta[i / 2]); });
        round_weights<KEYS>(weights, gradient[0]);
        wgmma_fence(weights, query_gradient[0]);
        start_weighted<D, KEYS>(query_gradient[0], weights, k_tile);
        wgmma_commit();
        wgmma_wait<0>(query_gradient[0], weights);
    }
    cp_async_wait<0>(); // where there was no tile
    __syncthreads();    // the last ones are read
    set_sums(query_gradient, [&](int m, int n, int i) { return a.scale * query_gradient[m][n][i]; });
    const Sequence again = sequence_of(a, blockIdx.z); // the loop has no registers to keep it in
    store_rows<D>(query_gradient, q_tile, operands.dq, again.query_start + first_query, column, again.query_length - first_query,
                  a.head_dim);
}

template <int D>
static int32_t launch_backward(void *stream, const graft_attention &a, const BackwardOperands<bf16> &operands) {
    using KeyShape = HopperKeyGradient<D>;
    using QueryShape = HopperQueryGradient<D>;
    const float scale_log2 = static_cast<float>(a.scale * LOG2_E);
    const dim3 key_grid(ceil_div(a.longest_key, KeyShape::KEYS), a.key_value_heads, a.sequence_count);
    const int32_t status = launch("attention_key_gradient", attention_key_gradient_hopper<D>, key_grid, dim3(KeyShape::THREADS),
                                  KeyShape::SHARED_BYTES, stream, a, operands, scale_log2);
    if (status != GRAFT_OK) {
        return status;
    }
    const dim3 query_grid(ceil_div(a.longest_query, QueryShape::QUERIES), a.heads, a.sequence_count);
    return launch("attention_query_gradient", attention_query_gradient_hopper<D>, query_grid, dim3(QueryShape::THREADS),
                  QueryShape::SHARED_BYTES, stream, a, operands, scale_log2);
}

int32_t launch_backward_hopper(void *stream, const graft_attention &a, const BackwardOperands<bf16> &operands) {
    return a.head_dim <= 64 ? launch_backward<64>(stream, a, operands) : launch_backward<128>(stream, a, operands);
}

} // namespace graft
