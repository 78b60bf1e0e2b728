/*
 * Softmax cross-entropy by rows of logits [rows, V], float32:
 *   losses = ln sum exp(logits) - logits[target] "=", d_logits = gradient_scale (softmax(logits) - onehot(target)) "=", unless null.
 *
 * A block a row, two passes: the first keeps a running maximum and sum in each thread, the second writes the gradient, which may lie
 * upon the logits. The second pass goes backwards, so that it finds in the L2 cache what the first one read last; 1024 threads a
 * block, so that few rows compete for that cache (a row of 128k logits is 512 KB). 16-byte accesses where pointers and pitches
 * allow it.
 *
 * -inf logits (masked tokens) count as 0 probability. The row's maximum is subtracted before every exponential.
 */
#include <cmath>

#include "reduce.cuh"

namespace graft {

/* sum of exp(x - maximum) over some x; with none of them finite, maximum is -inf and sum 0. */
struct RunningSum {
    float maximum = -INFINITY;
    float sum = 0;

    __device__ __forceinline__ void raise(float other) {
        if (other > maximum) {
            sum *= expf(maximum - other);
            maximum = other;
        }
    }

    __device__ __forceinline__ void add(float x) {
        if (x != -INFINITY) {
            sum += expf(x - maximum);
        }
    }

    __device__ __forceinline__ void add(const RunningSum &other) {
        raise(other.maximum);
        if (other.maximum != -INFINITY) {
            sum = fmaf(other.sum, expf(other.maximum - maximum), sum);
        }
    }
};

constexpr int CROSS_ENTROPY_SHARED = 2 * 32 * sizeof(float);

/* Over the block, in every thread; the threads' sums are added in the order of a tree, then warp by warp. */
__device__ __forceinline__ RunningSum block_total(RunningSum own) {
    for (int bit = WARP / 2; bit > 0; bit /= 2) {
        RunningSum other;
        other.maximum = __shfl_xor_sync(FULL_WARP, own.maximum, bit);
        other.sum = __shfl_xor_sync(FULL_WARP, own.sum, bit);
        own.add(other);
    }
    float *maxima = shared_memory<float>();
    float *sums = maxima + 32;
    if (threadIdx.x % WARP == 0) {
        maxima[threadIdx.x / WARP] = own.maximum;
        sums[threadIdx.x / WARP] = own.sum;
    }
    __syncthreads();
    RunningSum total;
    for (unsigned warp = 0; warp < blockDim.x / WARP; warp++) {
        RunningSum other;
        other.maximum = maxima[warp];
        other.sum = sums[warp];
        total.add(other);
    }
    return total;
}

/* `packs` times 16 bytes of T's, N elements each, then the rest one by one. */
template <class T>
__global__ __launch_bounds__(1024) void cross_entropy(const float *logits, int64_t logits_pitch, const int32_t *targets,
                                                      float gradient_scale, float *losses, T *d_logits, int64_t d_logits_pitch,
                                                      int64_t vocabulary, int64_t packs) {
    constexpr int N = Pack<T>::N;
    const int64_t row = blockIdx.x;
    const float *x = logits + row * logits_pitch;
    RunningSum own;
    for (int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
        float value[N];
        for (int p = 0; p < N; p += 4) {
            const Pack<float> pack = Pack<float>::load(x + i * N + p);
            for (int e = 0; e < 4; e++) {
                value[p + e] = pack.value[e];
            }
        }
        float largest = value[0];
        for (int e = 1; e < N; e++) {
            largest = fmaxf(largest, value[e]);
        }
        own.raise(largest);
        for (int e = 0; e < N; e++) {
            own.add(value[e]);
        }
    }
    for (int64_t i = packs * N + threadIdx.x; i < vocabulary; i += blockDim.x) {
        own.raise(x[i]);
        own.add(x[i]);
    }
    const int64_t target = targets[row];
    const float target_logit = x[target]; // read by every thread before the barrier in block_total, behind which x may be overwritten
    const RunningSum total = block_total(own);
    if (threadIdx.x == 0) {
        losses[row] = total.maximum - target_logit + logf(total.sum);
    }
    if (d_logits == nullptr) {
        return;
    }
    T *d = d_logits + row * d_logits_pitch;
    const float factor = gradient_scale / total.sum;
    const auto gradient = [&](float logit, int64_t i) {
        const float p = expf(logit - total.maximum);
        return i == target ? gradient_scale * (p / total.sum - 1) : p * factor;
    };
    for (int64_t i = vocabulary - 1 - threadIdx.x; i >= packs * N; i -= blockDim.x) {
        d[i] = from_float<T>(gradient(x[i], i));
    }
    for (int64_t i = packs - 1 - threadIdx.x; i >= 0; i -= blockDim.x) {
        Pack<T> result;
        for (int p = 0; p < N; p += 4) {
            const Pack<float> pack = Pack<float>::load(x + i * N + p);
            for (int e = 0; e < 4; e++) {
                result.value[p + e] = gradient(pack.value[e], i * N + p + e);
            }
        }
        result.store(d + i * N);
    }
}

template <class T>
static int32_t launch_cross_entropy(void *stream, const float *logits, int64_t logits_pitch, const int32_t *targets, float gradient_scale,
                                    float *losses, T *d_logits, int64_t d_logits_pitch, int64_t rows, int64_t vocabulary) {
    const bool packed = is_packed<float>(logits, logits_pitch, 0) && is_packed<T>(d_logits, d_logits_pitch, 0);
    const int64_t packs = packed ? vocabulary / Pack<T>::N : 0;
    const unsigned threads = vocabulary > 8192 ? 1024 : 256;
    return launch("cross_entropy", cross_entropy<T>, dim3(static_cast<unsigned>(rows)), dim3(threads), CROSS_ENTROPY_SHARED, stream, logits,
                  logits_pitch, targets, gradient_scale, losses, d_logits, d_logits_pitch, vocabulary, packs);
}

} // namespace graft

int32_t graft_cross_entropy(void *stream, const float *logits, int64_t logits_pitch, const int32_t *targets, float gradient_scale,
                            float *losses, int32_t d_logits_dtype, void *d_logits, int64_t d_logits_pitch, int64_t rows,
                            int64_t vocabulary) {
    using namespace graft;
    if (d_logits == nullptr) {
        return launch_cross_entropy<float>(stream, logits, logits_pitch, targets, gradient_scale, losses, nullptr, 0, rows, vocabulary);
    }
    switch (d_logits_dtype) {
    case GRAFT_F32:
        return launch_cross_entropy(stream, logits, logits_pitch, targets, gradient_scale, losses, static_cast<float *>(d_logits),
                                    d_logits_pitch, rows, vocabulary);
    case GRAFT_BF16:
        return launch_cross_entropy(stream, logits, logits_pitch, targets, gradient_scale, losses, static_cast<bf16 *>(d_logits),
                                    d_logits_pitch, rows, vocabulary);
    default:
        return fail(GRAFT_INVALID_ARGUMENT, "cross_entropy", "dtype of d_logits must be F32 or BF16");
    }
}
