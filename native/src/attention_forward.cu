/*
 * o [M, H D] = softmax(scale q k^T + mask) v and log_sum_exp [M, H], causal, grouped-query, over packed sequences; both "=".
 *
 * A block owns a tile of queries of one head and walks over the tiles of keys that they see, keeping for each query the running
 * maximum m, sum l and unnormalised output (Dao, FlashAttention-2): scores are never stored. Grid: query tiles x heads x sequences, the
 * longest rows first, since under the causal mask they take longest; the heads that share a key/value head are neighbours in the grid
 * and find its tiles in the L2 cache.
 *
 * bf16: 4 warps, each with 16 M queries by 64 keys; P never leaves the registers. Queries stay in shared memory, K and V have a
 * tile each: V's arrives while Q K^T is computed, K's next one while P V is. With D = 128, M = 2 (128 queries): a tile of 64 keys costs
 * 32 KB of loads and 2 x 128 x 64 x 128 multiply-adds, 64 of them a byte, about 20 bytes a clock and SM of an H100's L2 cache at the
 * rate of mma.sync; an ldmatrix serves 2.7 mma in Q K^T and 4 in P V. Shared memory 32 + 16 + 16 = 64 KB: two blocks on sm_80 and sm_90
 * (where registers, 2 x 128 x 255, allow no third), one on sm_86 and sm_89. D = 64 takes half of it; D = 256 holds 16 queries a warp
 * (its sums alone are 128 registers) and 96 KB, the most that sm_86 gives a block.
 *
 * float32: attention_f32.cuh. Hopper's own tensor cores: attention_hopper.cu.
 */
#include "attention_f32.cuh"
#include "attention_hopper.cuh"
#include "online_softmax.cuh"

namespace graft {

template <int D, int M, int KEYS>
__global__ __launch_bounds__(128, D == 256 ? 1 : 2) void attention_forward_bf16(graft_attention a, ForwardOperands<bf16> operands,
                                                                                float scale_log2) {
    constexpr int THREADS = 128;
    constexpr int QUERIES = 64 * M;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * QUERIES;
    if (first_query >= sequence.query_length) {
        return;
    }
    const int head = blockIdx.y;
    const int column = head / (a.heads / a.key_value_heads) * a.head_dim;
    bf16 *q_tile = shared_memory<bf16>();
    bf16 *k_tile = q_tile + QUERIES * D;
    bf16 *v_tile = k_tile + KEYS * D;

    const int queries = min(QUERIES, sequence.query_length - first_query);
    const int end_key = sequence.offset() + first_query + queries; // what the last query sees ends here
    const int start_key = first_key_of(sequence.offset() + first_query, a.window, KEYS);
    const auto load_keys = [&](bf16 *tile, const HeadMatrix<const bf16> &matrix, int first_key) {
        load_tile<D, KEYS, THREADS>(tile, matrix.at(sequence.key_start + first_key, column), matrix.pitch,
                                    sequence.key_length - first_key, a.head_dim, matrix.packed);
        cp_async_commit();
    };
    load_tile<D, QUERIES, THREADS>(q_tile, operands.q.at(sequence.query_start + first_query, head * a.head_dim), operands.q.pitch, queries,
                                   a.head_dim, operands.q.packed);
    load_keys(k_tile, operands.k, start_key);

    const int warp_row = static_cast<int>(threadIdx.x) / WARP * 16 * M;
    bf16 *warp_queries = q_tile + warp_row * D;
    const int first_position = sequence.offset() + first_query + warp_row;
    const int last_position = first_position + 16 * M - 1;
    OnlineSoftmax<D, M, KEYS> softmax;
    softmax.start();
    for (int key = start_key; key < end_key; key += KEYS) {
        const bool active = first_position < end_key && any_sees(first_position, last_position, key, key + KEYS - 1, a.window);
        float score[M][KEYS / 8][4];
        cp_async_wait<0>();
        __syncthreads(); // K is there, and nobody reads V any more
        load_keys(v_tile, operands.v, key);
        if (active) {
            clear(score);
            multiply_transposed<D, M, KEYS / 16>(score, warp_queries, k_tile);
        }
        cp_async_wait<0>();
        __syncthreads(); // V is there, and nobody reads K any more
        if (key + KEYS < end_key) {
            load_keys(k_tile, operands.k, key + KEYS);
        }
        if (active) {
            if (!all_see(first_position, last_position, key, key + KEYS - 1, a.window)) {
                set_sums(score, [&](int m, int n, int i) {
                    return sees(first_position + sum_row(m, i), key + sum_column(n, i), a.window) ? score[m][n][i] : -INFINITY;
                });
            }
            float correction[M][2];
            if (softmax.raise_maximum(score, scale_log2, correction)) {
                softmax.correct_sum(correction);
                softmax.correct_output(correction);
            }
            softmax.add(score, scale_log2);
            multiply_weights<D, M, KEYS / 16, D>(softmax.output, score, v_tile, 0);
        }
    }

    softmax.finish([&](int m, int half, float log_sum_exp) {
        const int row = warp_row + sum_row(m, 2 * half);
        if (row < queries) {
            operands.log_sum_exp[(sequence.query_start + first_query + row) * operands.log_sum_exp_pitch + head] = log_sum_exp;
        }
    });
    store_sums<M, D>(softmax.output, warp_queries, operands.o.at(sequence.query_start + first_query + warp_row, head * a.head_dim),
                     operands.o.pitch, queries - warp_row, a.head_dim, operands.o.packed);
}

template <int D, int M, int KEYS>
static int32_t launch_forward(void *stream, const graft_attention &a, const ForwardOperands<bf16> &operands) {
    const dim3 grid(ceil_div(a.longest_query, 64 * M), a.heads, a.sequence_count);
    return launch("attention_forward", attention_forward_bf16<D, M, KEYS>, grid, dim3(128), (64 * M + 2 * KEYS) * D * sizeof(bf16), stream,
                  a, operands, static_cast<float>(a.scale * LOG2_E));
}

template <class T>
static ForwardOperands<T> forward_operands(const graft_attention &a, const void *q, int64_t q_pitch, const void *k, int64_t k_pitch,
                                           const void *v, int64_t v_pitch, void *o, int64_t o_pitch, float *log_sum_exp,
                                           int64_t log_sum_exp_pitch) {
    return {head_matrix(static_cast<const T *>(q), q_pitch, a.head_dim),
            head_matrix(static_cast<const T *>(k), k_pitch, a.head_dim),
            head_matrix(static_cast<const T *>(v), v_pitch, a.head_dim),
            head_matrix(static_cast<T *>(o), o_pitch, a.head_dim),
            log_sum_exp,
            log_sum_exp_pitch};
}

} // namespace graft

int32_t graft_attention_forward(void *stream, int32_t dtype, const graft_attention *attention, const void *q, int64_t q_pitch,
                                const void *k, int64_t k_pitch, const void *v, int64_t v_pitch, void *o, int64_t o_pitch,
                                float *log_sum_exp, int64_t log_sum_exp_pitch) {
    using namespace graft;
    graft_attention a = *attention;
    const int32_t status = check_attention("attention_forward", dtype, a);
    if (status != GRAFT_OK) {
        return status;
    }
    if (dtype == GRAFT_F32) {
        const auto operands =
            forward_operands<float>(a, q, q_pitch, k, k_pitch, v, v_pitch, o, o_pitch, log_sum_exp, log_sum_exp_pitch);
        return a.head_dim <= 64    ? launch_forward<64, 4>(stream, a, operands)
               : a.head_dim <= 128 ? launch_forward<128, 4>(stream, a, operands)
                                   : launch_forward<256, 2>(stream, a, operands);
    }
    const auto operands = forward_operands<bf16>(a, q, q_pitch, k, k_pitch, v, v_pitch, o, o_pitch, log_sum_exp, log_sum_exp_pitch);
    if (is_for_hopper(a, operands)) {
        return launch_forward_hopper(stream, a, operands);
    }
    return a.head_dim <= 64    ? launch_forward<64, 2, 64>(stream, a, operands)
           : a.head_dim <= 128 ? launch_forward<128, 2, 64>(stream, a, operands)
                               : launch_forward<256, 1, 64>(stream, a, operands);
}
