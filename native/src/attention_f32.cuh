/*
 * Attention in float32: what attention_forward.cu and attention_backward.cu describe, by plain fused multiply-adds on tiles in shared
 * memory, where exactness comes before speed: no rounding to TF32, expf and logf in full.
 *
 * Forward: tiles of 64 x 64, with K and V in turn in one buffer; D = 256: 32 x 32. Each 16-byte read of shared memory serves 8 (4)
 * multiply-adds. Backward, which holds four tiles: 32 x 32, D = 256: 16 x 16. The most shared memory is 83 KB.
 */
#pragma once

#include "attention.cuh"

namespace graft {

/*
 * A tile: 256 threads as 16 x 16 (y, x), R x R results a thread at rows y + 16 i and columns x + 16 j. Rows are D + 4 floats
 * apart, so that the 16-byte reads of eight neighbouring rows touch every bank once.
 */
constexpr int FLOAT_THREADS = 256;

template <int D, int R>
struct FloatTile {
    static constexpr int ROWS = 16 * R;
    static constexpr int PITCH = D + 4;
    static constexpr int SIZE = ROWS * PITCH;
    static constexpr int WEIGHT_PITCH = ROWS + 4;
    static constexpr int WEIGHTS = ROWS * WEIGHT_PITCH;

    static __device__ __forceinline__ int x() {
        return threadIdx.x % 16;
    }

    static __device__ __forceinline__ int y() {
        return threadIdx.x / 16;
    }

    /* `rows` rows of `cols` elements, zeros beyond. */
    static __device__ void load(float *tile, const HeadMatrix<const float> &matrix, int64_t first_row, int column, int rows, int cols) {
        for (int i = threadIdx.x; i < ROWS * (D / 4); i += FLOAT_THREADS) {
            const int row = i / (D / 4);
            const int col = i % (D / 4) * 4;
            const float *source = matrix.at(first_row + row, column + col);
            Words words = {{0, 0, 0, 0}};
            if (row < rows && matrix.packed && col < cols) {
                words = load16_readonly(source);
            } else if (row < rows) {
                for (int e = 0; e < 4; e++) {
                    words.word[e] = col + e < cols ? float_bits(source[e]) : 0;
                }
            }
            store16(tile + row * PITCH + col, words);
        }
    }

    /* sum = a b^T over the first `cols` columns. */
    static __device__ __forceinline__ void multiply_transposed(float (&sum)[R][R], const float *a, const float *b, int cols) {
        for (int i = 0; i < R; i++) {
            for (int j = 0; j < R; j++) {
                sum[i][j] = 0;
            }
        }
#pragma unroll 2
        for (int col = 0; col < cols; col += 4) {
            Pack<float> left[R];
            for (int i = 0; i < R; i++) {
                left[i] = Pack<float>::load(a + (y() + 16 * i) * PITCH + col);
            }
            for (int j = 0; j < R; j++) {
                const Pack<float> right = Pack<float>::load(b + (x() + 16 * j) * PITCH + col);
                for (int i = 0; i < R; i++) {
                    for (int e = 0; e < 4; e++) {
                        sum[i][j] = fmaf(left[i].value[e], right.value[e], sum[i][j]);
                    }
                }
            }
        }
    }

    /* sum += weights b: results at rows y + 16 i and columns 4 x + 64 j to the third after it. */
    static __device__ __forceinline__ void multiply_weights(float (&sum)[R][D / 16], const float *weights, const float *b) {
#pragma unroll 1
        for (int k = 0; k < ROWS; k += 4) {
            Pack<float> left[R];
            for (int i = 0; i < R; i++) {
                left[i] = Pack<float>::load(weights + (y() + 16 * i) * WEIGHT_PITCH + k);
            }
            for (int e = 0; e < 4; e++) {
                for (int j = 0; j < D / 64; j++) {
                    const Pack<float> right = Pack<float>::load(b + (k + e) * PITCH + 4 * x() + 64 * j);
                    for (int i = 0; i < R; i++) {
                        for (int c = 0; c < 4; c++) {
                            sum[i][4 * j + c] = fmaf(left[i].value[e], right.value[c], sum[i][4 * j + c]);
                        }
                    }
                }
            }
        }
    }

    /* factor * sum to `rows` rows of `cols` elements. */
    static __device__ void store(const float (&sum)[R][D / 16], const float (&factor)[R], const HeadMatrix<float> &matrix,
                                 int64_t first_row, int column, int rows, int cols) {
        for (int i = 0; i < R; i++) {
            const int row = y() + 16 * i;
            for (int j = 0; j < D / 16; j++) {
                const int col = 4 * x() + 64 * (j / 4) + j % 4;
                if (row < rows && col < cols) {
                    *matrix.at(first_row + row, column + col) = factor[i] * sum[i][j];
                }
            }
        }
    }
};

/* ---- forward */

/* The maximum, and the sum, over the sixteen threads that hold a row of a float32 tile. */
__device__ __forceinline__ float row_max(float value) {
    for (int bit = 8; bit > 0; bit /= 2) {
        value = fmaxf(value, __shfl_xor_sync(FULL_WARP, value, bit));
    }
    return value;
}

__device__ __forceinline__ float row_sum(float value) {
    for (int bit = 8; bit > 0; bit /= 2) {
        value += __shfl_xor_sync(FULL_WARP, value, bit);
    }
    return value;
}

template <int D, int R>
__global__ __launch_bounds__(FLOAT_THREADS) void attention_forward_f32(graft_attention a, ForwardOperands<float> operands) {
    using Tile = FloatTile<D, R>;
    constexpr int ROWS = Tile::ROWS;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * ROWS;
    if (first_query >= sequence.query_length) {
        return;
    }
    const int head = blockIdx.y;
    const int column = head / (a.heads / a.key_value_heads) * a.head_dim;
    float *q_tile = shared_memory<float>();
    float *key_tile = q_tile + Tile::SIZE;
    float *weights = key_tile + Tile::SIZE;

    const int queries = min(ROWS, sequence.query_length - first_query);
    const int first_position = sequence.offset() + first_query;
    Tile::load(q_tile, operands.q, sequence.query_start + first_query, head * a.head_dim, queries, a.head_dim);
    float output[R][D / 16] = {};
    float maximum[R];
    float sum[R];
    for (int i = 0; i < R; i++) {
        maximum[i] = NO_SCORE;
        sum[i] = 0;
    }
    for (int key = first_key_of(first_position, a.window, ROWS); key < first_position + queries; key += ROWS) {
        __syncthreads(); // the previous V is no longer read
        Tile::load(key_tile, operands.k, sequence.key_start + key, column, sequence.key_length - key, a.head_dim);
        __syncthreads();
        float score[R][R];
        Tile::multiply_transposed(score, q_tile, key_tile, a.head_dim);
        for (int i = 0; i < R; i++) {
            float largest = maximum[i];
            for (int j = 0; j < R; j++) {
                const bool seen = sees(first_position + Tile::y() + 16 * i, key + Tile::x() + 16 * j, a.window);
                score[i][j] = seen ? score[i][j] * a.scale : -INFINITY;
                largest = fmaxf(largest, score[i][j]);
            }
            largest = row_max(largest);
            const float correction = expf(maximum[i] - largest);
            maximum[i] = largest;
            sum[i] *= correction;
            for (int j = 0; j < R; j++) {
                const float weight = expf(score[i][j] - largest);
                sum[i] += weight;
                weights[(Tile::y() + 16 * i) * Tile::WEIGHT_PITCH + Tile::x() + 16 * j] = weight;
            }
            for (int j = 0; j < D / 16; j++) {
                output[i][j] *= correction;
            }
        }
        __syncthreads(); // the weights are there, and nobody reads K any more
        Tile::load(key_tile, operands.v, sequence.key_start + key, column, sequence.key_length - key, a.head_dim);
        __syncthreads();
        Tile::multiply_weights(output, weights, key_tile);
    }
    float factor[R];
    for (int i = 0; i < R; i++) {
        const float total = row_sum(sum[i]);
        const int row = Tile::y() + 16 * i;
        factor[i] = total > 0 ? 1 / total : 0;
        if (Tile::x() == 0 && row < queries) {
            operands.log_sum_exp[(sequence.query_start + first_query + row) * operands.log_sum_exp_pitch + head] =
                maximum[i] + logf(total);
        }
    }
    Tile::store(output, factor, operands.o, sequence.query_start + first_query, head * a.head_dim, queries, a.head_dim);
}

template <int D, int R>
static int32_t launch_forward(void *stream, const graft_attention &a, const ForwardOperands<float> &operands) {
    using Tile = FloatTile<D, R>;
    const dim3 grid(ceil_div(a.longest_query, Tile::ROWS), a.heads, a.sequence_count);
    return launch("attention_forward", attention_forward_f32<D, R>, grid, dim3(FLOAT_THREADS),
                  (2 * Tile::SIZE + Tile::WEIGHTS) * sizeof(float), stream, a, operands);
}

/* ---- backward */

/* A thread's results for a tile: first q k^T and dO v^T, then P and dS. */
template <int R>
struct FloatScores {
    float probability[R][R];
    float gradient[R][R];
};

/* Products to P and dS. Rows are queries and columns keys, or with KEYS_FIRST the other way round. */
template <int D, int R, bool KEYS_FIRST>
__device__ __forceinline__ void float_scores(FloatScores<R> &scores, const graft_attention &a, const BackwardOperands<float> &operands,
                                             const Sequence &sequence, int head, int first_query, int first_key) {
    using Tile = FloatTile<D, R>;
    for (int i = 0; i < R; i++) {
        for (int j = 0; j < R; j++) {
            const int query = first_query + (KEYS_FIRST ? Tile::x() + 16 * j : Tile::y() + 16 * i);
            const int key = first_key + (KEYS_FIRST ? Tile::y() + 16 * i : Tile::x() + 16 * j);
            float p = 0;
            float gradient = 0;
            if (query < sequence.query_length && sees(sequence.offset() + query, key, a.window)) {
                const int64_t row = sequence.query_start + query;
                p = expf(scores.probability[i][j] * a.scale - operands.log_sum_exp[row * operands.log_sum_exp_pitch + head]);
                gradient = p * (scores.gradient[i][j] - operands.delta[head * operands.query_rows + row]);
            }
            scores.probability[i][j] = p;
            scores.gradient[i][j] = gradient;
        }
    }
}

/* weights = a thread's results, between two barriers. */
template <int D, int R>
__device__ __forceinline__ void share_weights(float *weights, const float (&values)[R][R]) {
    using Tile = FloatTile<D, R>;
    __syncthreads();
    for (int i = 0; i < R; i++) {
        for (int j = 0; j < R; j++) {
            weights[(Tile::y() + 16 * i) * Tile::WEIGHT_PITCH + Tile::x() + 16 * j] = values[i][j];
        }
    }
    __syncthreads();
}

template <int D, int R>
__global__ __launch_bounds__(FLOAT_THREADS) void attention_key_gradient_f32(graft_attention a, BackwardOperands<float> operands) {
    using Tile = FloatTile<D, R>;
    constexpr int ROWS = Tile::ROWS;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_key = blockIdx.x * ROWS;
    if (first_key >= sequence.key_length) {
        return;
    }
    const int key_head = blockIdx.y;
    const int group = a.heads / a.key_value_heads;
    float *k_tile = shared_memory<float>();
    float *v_tile = k_tile + Tile::SIZE;
    float *q_tile = v_tile + Tile::SIZE;
    float *d_o_tile = q_tile + Tile::SIZE;
    float *weights = d_o_tile + Tile::SIZE;

    const int keys = min(ROWS, sequence.key_length - first_key);
    const QueryRange range = queries_of(sequence, first_key, first_key + keys - 1, a.window, ROWS);
    Tile::load(k_tile, operands.k, sequence.key_start + first_key, key_head * a.head_dim, keys, a.head_dim);
    Tile::load(v_tile, operands.v, sequence.key_start + first_key, key_head * a.head_dim, keys, a.head_dim);
    float key_gradient[R][D / 16] = {};
    float value_gradient[R][D / 16] = {};
    for (int head = key_head * group; head < (key_head + 1) * group; head++) {
        for (int query = range.first; query < range.end; query += ROWS) {
            const int64_t row = sequence.query_start + query;
            const int queries = sequence.query_length - query;
            __syncthreads(); // nobody reads the previous tile any more
            Tile::load(q_tile, operands.q, row, head * a.head_dim, queries, a.head_dim);
            Tile::load(d_o_tile, operands.d_o, row, head * a.head_dim, queries, a.head_dim);
            __syncthreads();
            FloatScores<R> scores;
            Tile::multiply_transposed(scores.probability, k_tile, q_tile, a.head_dim);
            Tile::multiply_transposed(scores.gradient, v_tile, d_o_tile, a.head_dim);
            float_scores<D, R, true>(scores, a, operands, sequence, head, query, first_key);
            share_weights<D, R>(weights, scores.probability);
            Tile::multiply_weights(value_gradient, weights, d_o_tile);
            share_weights<D, R>(weights, scores.gradient);
            Tile::multiply_weights(key_gradient, weights, q_tile);
        }
    }
    float one[R];
    float scale[R];
    for (int i = 0; i < R; i++) {
        one[i] = 1;
        scale[i] = a.scale;
    }
    Tile::store(key_gradient, scale, operands.dk, sequence.key_start + first_key, key_head * a.head_dim, keys, a.head_dim);
    Tile::store(value_gradient, one, operands.dv, sequence.key_start + first_key, key_head * a.head_dim, keys, a.head_dim);
}

template <int D, int R>
__global__ __launch_bounds__(FLOAT_THREADS) void attention_query_gradient_f32(graft_attention a, BackwardOperands<float> operands) {
    using Tile = FloatTile<D, R>;
    constexpr int ROWS = Tile::ROWS;
    const Sequence sequence = sequence_of(a, blockIdx.z);
    const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * ROWS;
    if (first_query >= sequence.query_length) {
        return;
    }
    const int head = blockIdx.y;
    const int column = head / (a.heads / a.key_value_heads) * a.head_dim;
    float *q_tile = shared_memory<float>();
    float *d_o_tile = q_tile + Tile::SIZE;
    float *k_tile = d_o_tile + Tile::SIZE;
    float *v_tile = k_tile + Tile::SIZE;
    float *weights = v_tile + Tile::SIZE;

    const int queries = min(ROWS, sequence.query_length - first_query);
    const int64_t first_row = sequence.query_start + first_query;
    const int first_position = sequence.offset() + first_query;
    Tile::load(q_tile, operands.q, first_row, head * a.head_dim, queries, a.head_dim);
    Tile::load(d_o_tile, operands.d_o, first_row, head * a.head_dim, queries, a.head_dim);
    float query_gradient[R][D / 16] = {};
    for (int key = first_key_of(first_position, a.window, ROWS); key < first_position + queries; key += ROWS) {
        __syncthreads(); // nobody reads the previous tile any more
        Tile::load(k_tile, operands.k, sequence.key_start + key, column, sequence.key_length - key, a.head_dim);
        Tile::load(v_tile, operands.v, sequence.key_start + key, column, sequence.key_length - key, a.head_dim);
        __syncthreads();
        FloatScores<R> scores;
        Tile::multiply_transposed(scores.probability, q_tile, k_tile, a.head_dim);
        Tile::multiply_transposed(scores.gradient, d_o_tile, v_tile, a.head_dim);
        float_scores<D, R, false>(scores, a, operands, sequence, head, first_query, key);
        share_weights<D, R>(weights, scores.gradient);
        Tile::multiply_weights(query_gradient, weights, k_tile);
    }
    float scale[R];
    for (int i = 0; i < R; i++) {
        scale[i] = a.scale;
    }
    Tile::store(query_gradient, scale, operands.dq, first_row, head * a.head_dim, queries, a.head_dim);
}

template <int D, int R>
static int32_t launch_backward(void *stream, const graft_attention &a, const BackwardOperands<float> &operands) {
    using Tile = FloatTile<D, R>;
    constexpr size_t SHARED_BYTES = (4 * Tile::SIZE + Tile::WEIGHTS) * sizeof(float);
    const dim3 key_grid(ceil_div(a.longest_key, Tile::ROWS), a.key_value_heads, a.sequence_count);
    const int32_t status = launch("attention_key_gradient", attention_key_gradient_f32<D, R>, key_grid, dim3(FLOAT_THREADS), SHARED_BYTES,
                                  stream, a, operands);
    if (status != GRAFT_OK) {
        return status;
    }
    const dim3 query_grid(ceil_div(a.longest_query, Tile::ROWS), a.heads, a.sequence_count);
    return launch("attention_query_gradient", attention_query_gradient_f32<D, R>, query_grid, dim3(FLOAT_THREADS), SHARED_BYTES, stream, a,
                  operands);
}

} // namespace graft
