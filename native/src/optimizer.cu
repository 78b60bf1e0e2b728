/*
 * What is done to the flat F32 arrays that hold all trained numbers and their gradients and moments.
 *
 *   sum_of_squares   *result = sum of x^2
 *   adam_w_step      g' = g * min(1, clip / (sqrt(*sum) + 1e-6));  m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2;
 *                    p = p * decay - step_size * m / (sqrt(v) * correction2 + epsilon)
 *
 * Both move bytes (4 and 28 an element) and little else: 16-byte accesses where the arrays allow it. The sum's parts depend on n
 * alone, so that every GPU adds in the same order.
 */
#include "runs.cuh"

#include "reduce.cuh"

namespace graft {

namespace {

constexpr int THREADS = 256;
constexpr int64_t MOST_PARTS = 1024;
constexpr int PACK = Pack<float>::N;

/* parts[block] = sum of the squares of every gridDim-th pack of 4 numbers. */
__global__ void sum_of_squares_kernel(const float *x, int64_t n, bool packed, float *parts) {
    float *shared = shared_memory<float>();
    const int64_t step = static_cast<int64_t>(gridDim.x) * THREADS * PACK;
    float sum = 0;
    for (int64_t first = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * PACK; first < n; first += step) {
        if (packed && first + PACK <= n) {
            const Pack<float> pack = Pack<float>::load(x + first);
            for (int i = 0; i < PACK; i++) {
                sum += pack.value[i] * pack.value[i];
            }
        } else {
            for (int64_t i = first; i < n && i < first + PACK; i++) {
                sum += x[i] * x[i];
            }
        }
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = sum;
    }
}

__global__ void add_parts_kernel(const float *parts, int count, float *result) {
    float *shared = shared_memory<float>();
    float sum = 0;
    for (int i = threadIdx.x; i < count; i += THREADS) {
        sum += parts[i];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        *result = sum;
    }
}

struct AdamWArrays {
    float *values;
    const float *gradients;
    float *moment1;
    float *moment2;
};

__device__ __forceinline__ void adam_w(const graft_adam_w &step, float clip, float &p, float g, float &m, float &v) {
    g *= clip;
    m = step.beta1 * m + step.one_minus_beta1 * g;
    v = step.beta2 * v + step.one_minus_beta2 * (g * g);
    p = p * step.decay - step.step_size * (m / (sqrtf(v) * step.correction2 + step.epsilon));
}

__global__ void adam_w_kernel(graft_adam_w step, AdamWArrays arrays, const float *sum_of_squares, int64_t n, bool packed) {
    const float squares = *sum_of_squares;
    if (!isfinite(squares)) {
        return;
    }
    const float clip = step.clip_norm == 0 ? 1.0f : fminf(1.0f, step.clip_norm / (sqrtf(squares) + 1e-6f));
    const int64_t first = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * PACK;
    if (packed && first + PACK <= n) {
        Pack<float> p = Pack<float>::load(arrays.values + first);
        Pack<float> g = Pack<float>::load(arrays.gradients + first);
        Pack<float> m = Pack<float>::load(arrays.moment1 + first);
        Pack<float> v = Pack<float>::load(arrays.moment2 + first);
        for (int i = 0; i < PACK; i++) {
            adam_w(step, clip, p.value[i], g.value[i], m.value[i], v.value[i]);
        }
        p.store(arrays.values + first);
        m.store(arrays.moment1 + first);
        v.store(arrays.moment2 + first);
    } else {
        for (int64_t i = first; i < n && i < first + PACK; i++) {
            adam_w(step, clip, arrays.values[i], arrays.gradients[i], arrays.moment1[i], arrays.moment2[i]);
        }
    }
}

bool is_aligned(const void *address) {
    return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

} // namespace

} // namespace graft

int32_t graft_sum_of_squares(void *stream, const float *x, int64_t n, float *result, void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    constexpr size_t shared_bytes = THREADS / WARP * sizeof(float);
    const int64_t count = std::min<int64_t>(std::max<int64_t>(ceil_div<int64_t>(n, THREADS * PACK * 4), 1), MOST_PARTS);
    float *parts = count == 1 ? result : static_cast<float *>(scratch);
    if (count > 1 && count * static_cast<int64_t>(sizeof(float)) > scratch_bytes) {
        return fail(GRAFT_SCRATCH_TOO_SMALL, "sum_of_squares", "needs 4096 bytes of scratch");
    }
    const int32_t status = launch("sum_of_squares", sum_of_squares_kernel, dim3(static_cast<unsigned>(count)), dim3(THREADS), shared_bytes, stream,
                                  x, n, is_aligned(x), parts);
    if (status != GRAFT_OK || count == 1) {
        return status;
    }
    return launch("sum_of_squares", add_parts_kernel, dim3(1), dim3(THREADS), shared_bytes, stream, parts, static_cast<int>(count), result);
}

int32_t graft_adam_w_step(void *stream, const graft_adam_w *parameters, float *values, const float *gradients, float *moment1,
                          float *moment2, const float *sum_of_squares, int64_t n) {
    using namespace graft;
    const bool packed = is_aligned(values) && is_aligned(gradients) && is_aligned(moment1) && is_aligned(moment2);
    return launch("adam_w_step", adam_w_kernel, dim3(static_cast<unsigned>(ceil_div<int64_t>(n, THREADS * PACK))), dim3(THREADS), 0,
                  stream, *parameters, AdamWArrays{values, gradients, moment1, moment2}, sum_of_squares, n, packed);
}
