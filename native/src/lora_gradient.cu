/*
 * Gradients of the factors of low-rank adapters: the products whose sum runs over rows. See lora.cuh for slices, parts and dropout.
 *
 *   dA [r, K] += u^T dropout(x)     x [M, K], u [M, r]
 *   dB [N, r] += dy^T h             dy [M, N], h [M, r]; called by lora_shrink_gradient.cu
 *
 * A block takes 128 columns of x and all ranks of its slices, and walks down the rows in steps of 64: 16 KiB of x and 1 KiB of u for
 * each slice a step, three steps in shared memory, two of them on their way. x passes once (2 M K bytes); u, 2 r bytes to a row's 256,
 * passes once for every block, out of the L2 cache. There are K / 128 columns of blocks, 32 for K = 4096: the rows are cut into parts
 * until the grid fills the GPU, with float32 sums of 4 r K bytes each in scratch. Of 64 ranks (8 slices) a warp, which owns 32
 * columns, has 64 accumulators a thread, and a block 78 KiB of shared memory; more ranks take several passes.
 */
#include "lora.cuh"

namespace graft {

namespace {

constexpr int THREADS = 128;
constexpr int COLS = 128;
constexpr int WARP_COLS = COLS / (THREADS / WARP);
constexpr int DEPTH = 64;
constexpr int STAGES = 3;

struct FactorGradient {
    Matrix16 x;
    Mask mask;
    int64_t rows_per_part;
    float *sums; /* [slice][part][column][8], or null where there is one part */
    int64_t parts;
    int count;
    GradientSlice slices[GRADIENT_SLICES];

    __host__ __device__ int hidden_pitch() const {
        return (count + (count & 1)) * RUN + PAD;
    }

    __host__ __device__ int stage_elements() const {
        return DEPTH * (COLS + PAD) + DEPTH * hidden_pitch();
    }
};

__device__ __forceinline__ void copy_stage(bf16 *stage, const FactorGradient &p, int64_t row, int64_t row_end, int64_t col) {
    if (row < row_end) {
        copy_tile<DEPTH, COLS, THREADS>(stage, p.x, row, row_end, col);
        copy_rank_tile<DEPTH, THREADS>(stage + DEPTH * (COLS + PAD), p.slices, &GradientSlice::hidden, p.count, row, row_end);
    }
    cp_async_commit();
}

__device__ __forceinline__ void add_to_gradient(const GradientSlice &slice, int64_t index, int rank, float sum) {
    if (rank < slice.hidden.ranks) {
        slice.gradient[rank * slice.rank_step + index * slice.index_step] += slice.scale * sum;
    }
}

__global__ void __launch_bounds__(THREADS) lora_factor_gradient_kernel(FactorGradient p) {
    bf16 *stages = shared_memory<bf16>();
    const int stage_elements = p.stage_elements();
    const int warp_col = threadIdx.x / WARP * WARP_COLS;
    const int64_t col = static_cast<int64_t>(blockIdx.x) * COLS;
    const int64_t part = blockIdx.y;
    const int64_t row_start = part * p.rows_per_part;
    const int64_t row_end = row_start + p.rows_per_part < p.x.rows ? row_start + p.rows_per_part : p.x.rows;

    for (int step = 0; step < STAGES - 1; step++) {
        copy_stage(stages + step * stage_elements, p, row_start + step * DEPTH, row_end, col);
    }
    float sum[2][GRADIENT_SLICES][4] = {}; // columns warp_col + 16 i and following, 8 ranks
    int current = 0;
    for (int64_t row = row_start; row < row_end; row += DEPTH) {
        bf16 *x = stages + current * stage_elements;
        bf16 *hidden = x + DEPTH * (COLS + PAD);
        cp_async_wait<STAGES - 2>();
        __syncthreads(); // this step has arrived for all threads, and all are done with the one before: its place is free
        const int freed = current == 0 ? STAGES - 1 : current - 1;
        copy_stage(stages + freed * stage_elements, p, row + (STAGES - 1) * DEPTH, row_end, col);
        if (p.mask.drops()) {
            mask_tile<DEPTH, COLS, THREADS>(x, p.mask, row, col);
            __syncthreads();
        }
        for (int k = 0; k < DEPTH; k += 16) {
            uint32_t a[2][4];
            for (int i = 0; i < 2; i++) {
                load_a_transposed(a[i], x + k * (COLS + PAD) + warp_col + 16 * i, COLS + PAD);
            }
            multiply_slices(sum, a, hidden + k * p.hidden_pitch(), p.hidden_pitch(), p.count);
        }
        current = current == STAGES - 1 ? 0 : current + 1;
    }

    const int lane = threadIdx.x % WARP;
    const int rank = lane % 4 * 2;
#pragma unroll
    for (int s = 0; s < GRADIENT_SLICES; s++) {
        for (int i = 0; i < 4; i++) {
            const int64_t index = col + warp_col + lane / 4 + 8 * i;
            const float(&pair)[4] = sum[i / 2][s];
            if (s < p.count && index < p.x.cols) {
                if (p.sums != nullptr) {
                    store_pair(p.sums + ((s * p.parts + part) * p.x.cols + index) * RUN + rank, pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
                } else {
                    add_to_gradient(p.slices[s], index, rank, pair[i % 2 * 2]);
                    add_to_gradient(p.slices[s], index, rank + 1, pair[i % 2 * 2 + 1]);
                }
            }
        }
    }
}

struct FinishGradient {
    const float *sums;
    int64_t parts;
    int64_t indices;
    GradientSlice slices[GRADIENT_SLICES];
};

/* A thread adds up the 8 ranks of a slice at an index. */
__global__ void lora_gradient_sum_kernel(FinishGradient p) {
    const int64_t index = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    if (index >= p.indices) {
        return;
    }
    float total[RUN] = {};
    for (int64_t part = 0; part < p.parts; part++) {
        float sum[RUN];
        load_run(sum, p.sums + ((blockIdx.y * p.parts + part) * p.indices + index) * RUN, RUN, true);
        for (int i = 0; i < RUN; i++) {
            total[i] += sum[i];
        }
    }
    for (int i = 0; i < RUN; i++) {
        add_to_gradient(p.slices[blockIdx.y], index, i, total[i]);
    }
}

RankSlice hidden_slice(const TermSlice &slice, const void *hidden, int64_t pitch) {
    const auto *start = static_cast<const bf16 *>(hidden) + slice.first_rank;
    return {start, pitch, slice.ranks(), is_packed<bf16>(start, pitch, slice.ranks())};
}

} // namespace

GradientSlice input_factor(const TermSlice &slice) {
    const graft_lora_term &term = *slice.term;
    return {hidden_slice(slice, term.hidden_gradient, term.hidden_gradient_pitch),
            term.a_gradient + slice.first_rank * term.a_gradient_pitch, term.a_gradient_pitch, 1, mask_scale(term)};
}

GradientSlice output_factor(const TermSlice &slice) {
    const graft_lora_term &term = *slice.term;
    return {hidden_slice(slice, term.hidden, term.hidden_pitch), term.b_gradient + slice.first_rank, 1, term.b_gradient_pitch, 1};
}

int32_t finish_gradient(const char *operation, void *stream, const GradientSlice *slices, int count, const float *sums, int64_t parts,
                        int64_t indices) {
    FinishGradient arguments{sums, parts, indices, {}};
    std::copy(slices, slices + count, arguments.slices);
    return launch(operation, lora_gradient_sum_kernel,
                  dim3(static_cast<unsigned>(ceil_div<int64_t>(indices, THREADS)), static_cast<unsigned>(count)), dim3(THREADS), 0, stream,
                  arguments);
}

int32_t factor_gradient(const char *operation, void *stream, const Matrix16 &x, const Mask &mask, const GradientSlice *slices, int count,
                        Scratch scratch) {
    const int64_t blocks = ceil_div<int64_t>(x.cols, COLS);
    const Parts split = split_steps(ceil_div<int64_t>(x.rows, DEPTH), 4, blocks, count * x.cols * PART_BYTES, scratch.bytes);
    FactorGradient arguments{x, mask, split.steps * DEPTH, nullptr, split.count, count, {}};
    arguments.sums = split.count > 1 ? static_cast<float *>(scratch.start) : nullptr;
    std::copy(slices, slices + count, arguments.slices);
    const int32_t status = launch(operation, lora_factor_gradient_kernel,
                                  dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(split.count)), dim3(THREADS),
                                  static_cast<size_t>(STAGES * arguments.stage_elements()) * sizeof(bf16), stream, arguments);
    if (status != GRAFT_OK || arguments.sums == nullptr) {
        return status;
    }
    return finish_gradient(operation, stream, slices, count, arguments.sums, split.count, x.cols);
}

} // namespace graft

int32_t graft_lora_input_factor_gradient(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t inner,
                                         const graft_lora_term *terms, int32_t count, void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    const char *operation = "lora_input_factor_gradient";
    const int32_t status = check_terms(operation, dtype, terms, count);
    if (status != GRAFT_OK) {
        return status;
    }
    if (dtype == GRAFT_F32) {
        return for_terms(terms, count, [&](const graft_lora_term &term) {
            return input_factor_gradient_f32(stream, static_cast<const float *>(x), x_pitch, inner, term);
        });
    }
    return for_groups<GRADIENT_SLICES>(terms, count, [&](const TermSlice *slices, int used) {
        GradientSlice gradients[GRADIENT_SLICES];
        for (int i = 0; i < used; i++) {
            gradients[i] = input_factor(slices[i]);
        }
        const graft_lora_term &term = *slices->term;
        return factor_gradient(operation, stream, Matrix16(x, x_pitch, term.from_row, term.to_row, inner), Mask(term, inner), gradients,
                               used, {scratch, scratch_bytes});
    });
}
