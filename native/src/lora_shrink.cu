/*
 * The narrow products of low-rank adapters, over the rows of a term; see lora.cuh for slices, parts and dropout.
 *
 *   input      h = s dropout(x) A^T     x [M, K], A [r, K]
 *   gradient   u = s dy B               dy [M, N], B [N, r]; lora_shrink_gradient.cu
 *
 * h and u are overwritten, and so are their copies in the border.
 *
 * A block takes 64 rows of x and all ranks of its slices, and walks along K in steps of 64: 8 KiB of x and 1 KiB of factor for each
 * slice a step, three steps in shared memory, two of them on their way. x, which is what the time goes into (2 M K bytes), passes once.
 * The factor passes once for every block, out of the L2 cache: 2 r bytes to 128 of x, a quarter more at r = 16, which is why rows are
 * not cut finer. Where 64 rows a block are too few blocks for the GPU, K is cut into parts. Of 128 ranks (16 slices) a warp, which owns
 * 16 rows, has 64 accumulators a thread, and a block 81 KiB of shared memory, which every GPU from sm_80 on has; more ranks take
 * several passes.
 */
#include "lora.cuh"

namespace graft {

namespace {

constexpr int THREADS = 128;
constexpr int ROWS = 64;
constexpr int DEPTH = 64;
constexpr int STAGES = 3;

struct Shrink {
    Matrix16 x;
    Mask mask;
    int64_t depth_per_part;
    float *sums; /* [slice][part][row][8], or null where there is one part */
    int64_t parts;
    int count;
    ShrinkSlice slices[SHRINK_SLICES];

    __host__ __device__ int ranks() const {
        return (count + (count & 1)) * RUN;
    }

    __host__ __device__ int factor_elements(bool rank_contiguous) const {
        return rank_contiguous ? DEPTH * (ranks() + PAD) : ranks() * (DEPTH + PAD);
    }

    __host__ __device__ int stage_elements(bool rank_contiguous) const {
        return ROWS * (DEPTH + PAD) + factor_elements(rank_contiguous);
    }
};

/* The slices of A [r, K] below each other from column k on: [8 slices][DEPTH]. */
__device__ __forceinline__ void copy_factor_rows(bf16 *tile, const Shrink &p, int64_t k, int64_t k_end) {
    constexpr int runs = DEPTH / RUN;
    for (int i = threadIdx.x; i < p.ranks() * runs; i += THREADS) {
        const int r = i / runs;
        const int c = i % runs * RUN;
        const int s = r / RUN;
        const RankSlice &slice = p.slices[s < p.count ? s : 0].factor;
        const int64_t left = s < p.count && r % RUN < slice.ranks ? k_end - (k + c) : 0;
        copy_run(tile + r * (DEPTH + PAD) + c, slice.start + r % RUN * slice.pitch + k + c, left, slice.packed);
    }
}

template <bool RankContiguous>
__device__ __forceinline__ void copy_stage(bf16 *stage, const Shrink &p, int64_t row, int64_t k, int64_t k_end) {
    if (k < k_end) {
        copy_tile<ROWS, DEPTH, THREADS>(stage, p.x, row, p.x.rows, k);
        bf16 *factor = stage + ROWS * (DEPTH + PAD);
        if (RankContiguous) {
            copy_rank_tile<DEPTH, THREADS>(factor, p.slices, &ShrinkSlice::factor, p.count, k, k_end);
        } else {
            copy_factor_rows(factor, p, k, k_end);
        }
    }
    cp_async_commit();
}

/* sum += the warp's 16 rows of x times the factor, of one stage. */
template <bool RankContiguous>
__device__ __forceinline__ void multiply_stage(float (&sum)[SHRINK_SLICES][4], const bf16 *stage, int warp, int count, int ranks) {
    const bf16 *x = stage + warp * 16 * (DEPTH + PAD);
    const bf16 *factor = stage + ROWS * (DEPTH + PAD);
    for (int k = 0; k < DEPTH; k += 16) {
        uint32_t a[4];
        load_a(a, x + k, DEPTH + PAD);
#pragma unroll
        for (int s = 0; s < SHRINK_SLICES; s += 2) {
            if (s < count) {
                uint32_t b0[2];
                uint32_t b1[2];
                if (RankContiguous) {
                    load_b_transposed(b0, b1, factor + k * (ranks + PAD) + s * RUN, ranks + PAD);
                } else {
                    load_b(b0, b1, factor + s * RUN * (DEPTH + PAD) + k, DEPTH + PAD);
                }
                mma_bf16(sum[s], a, b0);
                mma_bf16(sum[s + 1], a, b1);
            }
        }
    }
}

__device__ __forceinline__ void write_hidden(const ShrinkSlice &slice, int64_t row, int rank, float sum) {
    if (rank < slice.factor.ranks) {
        const bf16 value = to_bf16(slice.scale * sum);
        slice.hidden[row * slice.hidden_pitch + rank] = value;
        if (slice.border != nullptr) {
            slice.border[row * slice.border_pitch + rank] = value;
        }
    }
}

template <bool RankContiguous>
__global__ void __launch_bounds__(THREADS) lora_shrink_kernel(Shrink p) {
    bf16 *stages = shared_memory<bf16>();
    const int stage_elements = p.stage_elements(RankContiguous);
    const int warp = threadIdx.x / WARP;
    const int64_t row = static_cast<int64_t>(blockIdx.x) * ROWS;
    const int64_t part = blockIdx.y;
    const int64_t k_start = part * p.depth_per_part;
    const int64_t k_end = k_start + p.depth_per_part < p.x.cols ? k_start + p.depth_per_part : p.x.cols;

    for (int step = 0; step < STAGES - 1; step++) {
        copy_stage<RankContiguous>(stages + step * stage_elements, p, row, k_start + step * DEPTH, k_end);
    }
    float sum[SHRINK_SLICES][4] = {};
    int current = 0;
    for (int64_t k = k_start; k < k_end; k += DEPTH) {
        bf16 *stage = stages + current * stage_elements;
        cp_async_wait<STAGES - 2>();
        __syncthreads(); // this step has arrived for all threads, and all are done with the one before: its place is free
        const int freed = current == 0 ? STAGES - 1 : current - 1;
        copy_stage<RankContiguous>(stages + freed * stage_elements, p, row, k + (STAGES - 1) * DEPTH, k_end);
        if (p.mask.drops()) {
            mask_tile<ROWS, DEPTH, THREADS>(stage, p.mask, row, k);
            __syncthreads();
        }
        multiply_stage<RankContiguous>(sum, stage, warp, p.count, p.ranks());
        current = current == STAGES - 1 ? 0 : current + 1;
    }

    const int lane = threadIdx.x % WARP;
    const int rank = lane % 4 * 2;
#pragma unroll
    for (int s = 0; s < SHRINK_SLICES; s++) {
        for (int half = 0; half < 2; half++) {
            const int64_t own_row = row + warp * 16 + lane / 4 + 8 * half;
            if (s < p.count && own_row < p.x.rows) {
                if (p.sums != nullptr) {
                    store_pair(p.sums + ((s * p.parts + part) * p.x.rows + own_row) * RUN + rank, sum[s][2 * half], sum[s][2 * half + 1]);
                } else {
                    write_hidden(p.slices[s], own_row, rank, sum[s][2 * half]);
                    write_hidden(p.slices[s], own_row, rank + 1, sum[s][2 * half + 1]);
                }
            }
        }
    }
}

struct FinishShrink {
    const float *sums;
    int64_t parts;
    int64_t rows;
    ShrinkSlice slices[SHRINK_SLICES];
};

/* A thread adds up the 8 ranks of a slice in a row. */
__global__ void lora_shrink_sum_kernel(FinishShrink p) {
    const int64_t row = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    if (row >= p.rows) {
        return;
    }
    const ShrinkSlice &slice = p.slices[blockIdx.y];
    float total[RUN] = {};
    for (int64_t part = 0; part < p.parts; part++) {
        float sum[RUN];
        load_run(sum, p.sums + ((blockIdx.y * p.parts + part) * p.rows + row) * RUN, RUN, true);
        for (int i = 0; i < RUN; i++) {
            total[i] += sum[i];
        }
    }
    for (int i = 0; i < RUN; i++) {
        total[i] *= slice.scale;
    }
    store_run(total, slice.hidden + row * slice.hidden_pitch, slice.factor.ranks, slice.hidden_whole);
    if (slice.border != nullptr) {
        store_run(total, slice.border + row * slice.border_pitch, slice.factor.ranks, slice.border_whole);
    }
}

/* The slice that writes to `hidden`, from `border` row from_row on. */
ShrinkSlice writing(const TermSlice &slice, const RankSlice &factor, void *hidden, int64_t hidden_pitch, float scale) {
    const graft_lora_term &term = *slice.term;
    ShrinkSlice result{};
    result.factor = factor;
    result.hidden = static_cast<bf16 *>(hidden) + slice.first_rank;
    result.hidden_pitch = hidden_pitch;
    result.hidden_whole = has_whole_runs<bf16>(result.hidden, hidden_pitch, slice.ranks());
    if (term.border != nullptr) {
        result.border = static_cast<bf16 *>(term.border) + term.from_row * term.border_pitch + slice.first_rank;
        result.border_pitch = term.border_pitch;
        result.border_whole = has_whole_runs<bf16>(result.border, term.border_pitch, slice.ranks());
    }
    result.scale = scale;
    return result;
}

} // namespace

ShrinkSlice input_shrink(const TermSlice &slice, int64_t inner) {
    const graft_lora_term &term = *slice.term;
    const auto *a = static_cast<const bf16 *>(term.a) + slice.first_rank * term.a_pitch;
    const RankSlice factor{a, term.a_pitch, slice.ranks(), is_packed<bf16>(a, term.a_pitch, inner)};
    return writing(slice, factor, term.hidden, term.hidden_pitch, term.scale * mask_scale(term));
}

ShrinkSlice gradient_shrink(const TermSlice &slice) {
    const graft_lora_term &term = *slice.term;
    const auto *b = static_cast<const bf16 *>(term.b) + slice.first_rank;
    const RankSlice factor{b, term.b_pitch, slice.ranks(), is_packed<bf16>(b, term.b_pitch, slice.ranks())};
    return writing(slice, factor, term.hidden_gradient, term.hidden_gradient_pitch, term.scale);
}

int32_t finish_shrink(const char *operation, void *stream, const ShrinkSlice *slices, int count, const float *sums, int64_t parts,
                      int64_t rows) {
    FinishShrink arguments{sums, parts, rows, {}};
    std::copy(slices, slices + count, arguments.slices);
    return launch(operation, lora_shrink_sum_kernel,
                  dim3(static_cast<unsigned>(ceil_div<int64_t>(rows, THREADS)), static_cast<unsigned>(count)), dim3(THREADS), 0, stream,
                  arguments);
}

int32_t shrink(const char *operation, void *stream, const Matrix16 &x, const Mask &mask, bool rank_contiguous, const ShrinkSlice *slices,
               int count, Scratch scratch) {
    const int64_t blocks = ceil_div<int64_t>(x.rows, ROWS);
    const Parts split = split_steps(ceil_div<int64_t>(x.cols, DEPTH), 4, blocks, count * x.rows * PART_BYTES, scratch.bytes);
    Shrink arguments{x, mask, split.steps * DEPTH, nullptr, split.count, count, {}};
    arguments.sums = split.count > 1 ? static_cast<float *>(scratch.start) : nullptr;
    std::copy(slices, slices + count, arguments.slices);
    const int32_t status =
        launch(operation, rank_contiguous ? lora_shrink_kernel<true> : lora_shrink_kernel<false>,
               dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(split.count)), dim3(THREADS),
               static_cast<size_t>(STAGES * arguments.stage_elements(rank_contiguous)) * sizeof(bf16), stream, arguments);
    if (status != GRAFT_OK || arguments.sums == nullptr) {
        return status;
    }
    return finish_shrink(operation, stream, slices, count, arguments.sums, split.count, x.rows);
}

} // namespace graft

int32_t graft_lora_shrink_input(void *stream, int32_t dtype, const void *x, int64_t x_pitch, int64_t inner, const graft_lora_term *terms,
                                int32_t count, void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    const char *operation = "lora_shrink_input";
    const int32_t status = check_terms(operation, dtype, terms, count);
    if (status != GRAFT_OK) {
        return status;
    }
    if (dtype == GRAFT_F32) {
        return for_terms(terms, count, [&](const graft_lora_term &term) {
            return shrink_input_f32(stream, static_cast<const float *>(x), x_pitch, inner, term);
        });
    }
    return for_groups<SHRINK_SLICES>(terms, count, [&](const TermSlice *slices, int used) {
        ShrinkSlice shrinks[SHRINK_SLICES];
        for (int i = 0; i < used; i++) {
            shrinks[i] = input_shrink(slices[i], inner);
        }
        const graft_lora_term &term = *slices->term;
        return shrink(operation, stream, Matrix16(x, x_pitch, term.from_row, term.to_row, inner), Mask(term, inner), false, shrinks, used,
                      {scratch, scratch_bytes});
    });
}
