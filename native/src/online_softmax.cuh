/* The online softmax of one lane's share of a tile of scores (Dao, FlashAttention-2), for products of mma and of wgmma. */
#pragma once

#include "attention.cuh"
#include "mma_tile.cuh"

namespace graft {

/* The maximum, and the sum, over the four lanes that hold a row of a product's result. */
__device__ __forceinline__ float quad_max(float value) {
    value = fmaxf(value, __shfl_xor_sync(FULL_WARP, value, 1));
    return fmaxf(value, __shfl_xor_sync(FULL_WARP, value, 2));
}

__device__ __forceinline__ float quad_sum(float value) {
    value += __shfl_xor_sync(FULL_WARP, value, 1);
    return value + __shfl_xor_sync(FULL_WARP, value, 2);
}

/* 16 M queries of a warp: rows lane / 4 + 8 half of each 16. */
template <int D, int M, int KEYS>
struct OnlineSoftmax {
    float output[M][D / 8][4]; /* not divided by the sum */
    float maximum[M][2];       /* in units of log2; NO_SCORE before the first key */
    float sum[M][2];           /* over this lane's columns alone */

    __device__ __forceinline__ void start() {
        clear(output);
#pragma unroll
        for (int m = 0; m < M; m++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                maximum[m][half] = NO_SCORE;
                sum[m][half] = 0;
            }
        }
    }

    /* Takes new scores into the maximum. Whether the sum and the output of those before must be multiplied by `correction`: rarely, after
     * the first tiles; the same in all lanes. */
    __device__ __forceinline__ bool raise_maximum(const float (&score)[M][KEYS / 8][4], float scale_log2, float (&correction)[M][2]) {
        bool corrected = false;
#pragma unroll
        for (int m = 0; m < M; m++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float largest = -INFINITY;
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++) {
                    largest = fmaxf(largest, fmaxf(score[m][n][2 * half], score[m][n][2 * half + 1]));
                }
                largest = fmaxf(maximum[m][half], quad_max(largest) * scale_log2);
                correction[m][half] = exp2_fast(maximum[m][half] - largest);
                corrected |= largest != maximum[m][half];
                maximum[m][half] = largest;
            }
        }
        return __any_sync(FULL_WARP, corrected);
    }

    /* Before `add`. */
    __device__ __forceinline__ void correct_sum(const float (&correction)[M][2]) {
#pragma unroll
        for (int m = 0; m < M; m++) {
            sum[m][0] *= correction[m][0];
            sum[m][1] *= correction[m][1];
        }
    }

    /* Before the product of these scores, and when none is under way that the output is a sum of. */
    __device__ __forceinline__ void correct_output(const float (&correction)[M][2]) {
        set_sums(output, [&](int m, int n, int i) { return output[m][n][i] * correction[m][i / 2]; });
    }

    /* Scores become probabilities relative to the maximum, and are summed up. */
    __device__ __forceinline__ void add(float (&score)[M][KEYS / 8][4], float scale_log2) {
        set_sums(score, [&](int m, int n, int i) {
            const float p = exp2_fast(fmaf(score[m][n][i], scale_log2, -maximum[m][i / 2]));
            sum[m][i / 2] += p;
            return p;
        });
    }

    /* Divides the output by the sum, and gives keep(m, half, log_sum_exp) each row's, in one of its four lanes. */
    template <class F>
    __device__ __forceinline__ void finish(F keep) {
#pragma unroll
        for (int m = 0; m < M; m++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const float total = quad_sum(sum[m][half]);
                const float factor = total > 0 ? 1 / total : 0; // rows beyond the last query may have seen nothing
#pragma unroll
                for (int n = 0; n < D / 8; n++) {
                    output[m][n][2 * half] *= factor;
                    output[m][n][2 * half + 1] *= factor;
                }
                if (threadIdx.x % 4 == 0) {
                    keep(m, half, maximum[m][half] * LN_2 + logf(total));
                }
            }
        }
    }
};

} // namespace graft
