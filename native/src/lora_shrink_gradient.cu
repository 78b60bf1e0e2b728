/*
 * What low-rank adapters need of dy [M, N]; B [N, r], h [M, r] (which holds s). See lora.cuh for slices and parts.
 *
 *   u = s dy B          [M, r], overwritten, and so is its copy in the border
 *   dB += dy^T h        [N, r] F32
 *
 * One pass over dy gives both, though one sums over columns and the other over rows: a block takes 256 columns and walks down a part
 * of the rows in steps of 64 x 128. B's 256 rows stay in shared memory, dB's sums in registers; u's sums over the block's 256 columns
 * go to scratch after every 64 rows. Counted for r = 16, in bytes to a row's 512 of dy: 64 of u written and 64 read again, 32 and 32 of dB
 * where a part has 512 rows; a second pass over dy would be 512. Three steps of dy and h and B take 86 KiB of shared memory at 32
 * ranks, which every GPU from sm_80 on has.
 *
 * Partial sums grow with r and dy does not: beyond 32 ranks, or where the scratch does not hold u's sums (32 bytes for every row,
 * slice and 256 columns), two passes are as fast and u and dB are computed one after the other (lora_shrink.cu, lora_gradient.cu).
 */
#include "lora.cuh"

namespace graft {

namespace {

constexpr int THREADS = 128;
constexpr int SLICES = 4;
constexpr int ROWS = 64;
constexpr int COLS = 128;
constexpr int CHUNKS = 2;
constexpr int WARP_COLS = COLS / (THREADS / WARP);
constexpr int STAGES = 3;

struct Both {
    Matrix16 dy;
    int64_t rows_per_part;
    float *u_sums;  /* [slice][blockIdx.x][row][8] */
    float *db_sums; /* [slice][blockIdx.y][column][8] */
    int count;
    ShrinkSlice shrinks[SLICES];
    GradientSlice gradients[SLICES];

    __host__ __device__ int rank_pitch() const {
        return (count + (count & 1)) * RUN + PAD;
    }

    __host__ __device__ int stage_elements() const {
        return ROWS * (COLS + PAD) + ROWS * rank_pitch();
    }

    __host__ __device__ int b_elements() const {
        return CHUNKS * COLS * rank_pitch();
    }
};

/* Step i of a block: its rows' (i / CHUNKS)-th 64, its columns' (i % CHUNKS)-th 128. */
__device__ __forceinline__ void copy_stage(bf16 *stage, const Both &p, int64_t step, int64_t row_start, int64_t row_end, int64_t col) {
    const int64_t row = row_start + step / CHUNKS * ROWS;
    if (row < row_end) {
        copy_tile<ROWS, COLS, THREADS>(stage, p.dy, row, row_end, col + step % CHUNKS * COLS);
        copy_rank_tile<ROWS, THREADS>(stage + ROWS * (COLS + PAD), p.gradients, &GradientSlice::hidden, p.count, row, row_end);
    }
    cp_async_commit();
}

__global__ void __launch_bounds__(THREADS) lora_shrink_gradient_kernel(Both p) {
    bf16 *b = shared_memory<bf16>();
    bf16 *stages = b + p.b_elements();
    const int stage_elements = p.stage_elements();
    const int rank_pitch = p.rank_pitch();
    const int warp = threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    const int rank = lane % 4 * 2;
    const int64_t col = static_cast<int64_t>(blockIdx.x) * (CHUNKS * COLS);
    const int64_t row_start = blockIdx.y * p.rows_per_part;
    const int64_t row_end = row_start + p.rows_per_part < p.dy.rows ? row_start + p.rows_per_part : p.dy.rows;

    copy_rank_tile<CHUNKS * COLS, THREADS>(b, p.shrinks, &ShrinkSlice::factor, p.count, col, p.dy.cols);
    for (int step = 0; step < STAGES - 1; step++) {
        copy_stage(stages + step * stage_elements, p, step, row_start, row_end, col);
    }
    float db[CHUNKS][2][SLICES][4] = {}; // columns 128 chunk + 32 warp + 16 i and following, 8 ranks
    int64_t step = 0;
    int current = 0;
    for (int64_t row = row_start; row < row_end; row += ROWS) {
        float u[1][SLICES][4] = {}; // rows 16 warp and following, 8 ranks
#pragma unroll
        for (int chunk = 0; chunk < CHUNKS; chunk++, step++) {
            const bf16 *dy = stages + current * stage_elements;
            const bf16 *hidden = dy + ROWS * (COLS + PAD);
            cp_async_wait<STAGES - 2>();
            __syncthreads(); // this step has arrived for all threads, and all are done with the one before: its place is free
            const int freed = current == 0 ? STAGES - 1 : current - 1;
            copy_stage(stages + freed * stage_elements, p, step + STAGES - 1, row_start, row_end, col);
            for (int k = 0; k < COLS; k += 16) {
                uint32_t a[1][4];
                load_a(a[0], dy + warp * 16 * (COLS + PAD) + k, COLS + PAD);
                multiply_slices(u, a, b + (chunk * COLS + k) * rank_pitch, rank_pitch, p.count);
            }
            for (int k = 0; k < ROWS; k += 16) {
                uint32_t a[2][4];
                for (int i = 0; i < 2; i++) {
                    load_a_transposed(a[i], dy + k * (COLS + PAD) + warp * WARP_COLS + 16 * i, COLS + PAD);
                }
                multiply_slices(db[chunk], a, hidden + k * rank_pitch, rank_pitch, p.count);
            }
            current = current == STAGES - 1 ? 0 : current + 1;
        }
#pragma unroll
        for (int s = 0; s < SLICES; s++) {
            for (int half = 0; half < 2; half++) {
                const int64_t own_row = row + warp * 16 + lane / 4 + 8 * half;
                if (s < p.count && own_row < row_end) {
                    const int64_t at = (s * static_cast<int64_t>(gridDim.x) + blockIdx.x) * p.dy.rows + own_row;
                    store_pair(p.u_sums + at * RUN + rank, u[0][s][2 * half], u[0][s][2 * half + 1]);
                }
            }
        }
    }
#pragma unroll
    for (int s = 0; s < SLICES; s++) {
#pragma unroll
        for (int i = 0; i < 4 * CHUNKS; i++) {
            const int64_t own_col = col + i / 4 * COLS + warp * WARP_COLS + i % 4 * 8 + lane / 4;
            if (s < p.count && own_col < p.dy.cols) {
                const int64_t at = (s * static_cast<int64_t>(gridDim.y) + blockIdx.y) * p.dy.cols + own_col;
                const float(&pair)[4] = db[i / 4][i % 4 / 2][s];
                store_pair(p.db_sums + at * RUN + rank, pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
            }
        }
    }
}

/* One term in one pass. `scratch` holds u's sums and those of one part of dB at least. */
int32_t shrink_gradient_at_once(const char *operation, void *stream, const Matrix16 &dy, const ShrinkSlice *shrinks,
                                const GradientSlice *gradients, int count, Scratch scratch) {
    const int64_t blocks = ceil_div<int64_t>(dy.cols, CHUNKS * COLS);
    const int64_t u_bytes = count * blocks * dy.rows * PART_BYTES;
    const Parts split =
        split_steps(ceil_div<int64_t>(dy.rows, ROWS), 4, blocks, count * dy.cols * PART_BYTES, scratch.bytes - u_bytes);
    Both arguments{dy, split.steps * ROWS, static_cast<float *>(scratch.start), nullptr, count, {}, {}};
    arguments.db_sums = arguments.u_sums + u_bytes / static_cast<int64_t>(sizeof(float));
    std::copy(shrinks, shrinks + count, arguments.shrinks);
    std::copy(gradients, gradients + count, arguments.gradients);
    const size_t shared_bytes = static_cast<size_t>(arguments.b_elements() + STAGES * arguments.stage_elements()) * sizeof(bf16);
    int32_t status = launch(operation, lora_shrink_gradient_kernel, dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(split.count)),
                            dim3(THREADS), shared_bytes, stream, arguments);
    if (status == GRAFT_OK) {
        status = finish_shrink(operation, stream, shrinks, count, arguments.u_sums, blocks, dy.rows);
    }
    if (status == GRAFT_OK) {
        status = finish_gradient(operation, stream, gradients, count, arguments.db_sums, split.count, dy.cols);
    }
    return status;
}

bool fits_one_pass(const graft_lora_term &term, const Matrix16 &dy, Scratch scratch) {
    const int64_t slices = ceil_div(term.rank, RUN);
    const int64_t blocks = ceil_div<int64_t>(dy.cols, CHUNKS * COLS);
    return slices <= SLICES && slices * (blocks * dy.rows + dy.cols) * PART_BYTES <= scratch.bytes;
}

int32_t shrink_gradient(const char *operation, void *stream, const void *start, int64_t pitch, int64_t cols, const graft_lora_term &term,
                        Scratch scratch) {
    const Matrix16 dy(start, pitch, term.from_row, term.to_row, cols);
    if (fits_one_pass(term, dy, scratch)) {
        return for_groups<SLICES>(&term, 1, [&](const TermSlice *slices, int used) {
            ShrinkSlice shrinks[SLICES];
            GradientSlice gradients[SLICES];
            for (int i = 0; i < used; i++) {
                shrinks[i] = gradient_shrink(slices[i]);
                gradients[i] = output_factor(slices[i]);
            }
            return shrink_gradient_at_once(operation, stream, dy, shrinks, gradients, used, scratch);
        });
    }
    const int32_t status = for_groups<SHRINK_SLICES>(&term, 1, [&](const TermSlice *slices, int used) {
        ShrinkSlice shrinks[SHRINK_SLICES];
        std::transform(slices, slices + used, shrinks, gradient_shrink);
        return shrink(operation, stream, dy, Mask{}, true, shrinks, used, scratch);
    });
    if (status != GRAFT_OK) {
        return status;
    }
    return for_groups<GRADIENT_SLICES>(&term, 1, [&](const TermSlice *slices, int used) {
        GradientSlice gradients[GRADIENT_SLICES];
        std::transform(slices, slices + used, gradients, output_factor);
        return factor_gradient(operation, stream, dy, Mask{}, gradients, used, scratch);
    });
}

} // namespace

} // namespace graft

int32_t graft_lora_shrink_gradient(void *stream, int32_t dtype, const void *dy, int64_t dy_pitch, int64_t inner,
                                   const graft_lora_term *terms, int32_t count, void *scratch, int64_t scratch_bytes) {
    using namespace graft;
    const char *operation = "lora_shrink_gradient";
    const int32_t status = check_terms(operation, dtype, terms, count);
    if (status != GRAFT_OK) {
        return status;
    }
    return for_terms(terms, count, [&](const graft_lora_term &term) {
        if (dtype == GRAFT_F32) {
            return shrink_gradient_f32(stream, static_cast<const float *>(dy), dy_pitch, inner, term);
        }
        return shrink_gradient(operation, stream, dy, dy_pitch, inner, term, {scratch, scratch_bytes});
    });
}
