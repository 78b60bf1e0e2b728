/*
 * The wide products of low-rank adapters, added to what the frozen weights gave; see lora.cuh for dropout.
 *
 *   output     y[from:to, N] += h B^T                            h [M, r], B [N, r]; y may be F32 where h and B are bf16
 *   gradient   dx[from:to, K] += mask * (u A) / (1 - p)          u [M, r], A [r, K]
 *
 * The time goes into reading and writing y: 4 bytes an element of bf16, against 2 r multiplications, and r / 32 bytes of h and B each
 * from the L2 cache. A block takes 64 x 64 elements, keeps what is added to them in registers while it goes through the terms that
 * share the rows (q, k and v, each with a mask of its own), and then adds it, so that y passes once and is rounded once. The tensor
 * cores' fragments pass through shared memory on the way, where threads take runs of 8 columns: 16-byte accesses to y, and whole draws
 * of the mask. There are many small blocks and little shared memory to each (17 KiB): what one waits for, others fill.
 */
#include "lora.cuh"

namespace graft {

namespace {

constexpr int THREADS = 128;
constexpr int TILE = 64;
constexpr int DEPTH = 64;
constexpr int TERMS = 8;
constexpr int SUMS_PITCH = TILE + 8;
constexpr int RUNS = TILE * TILE / RUN / THREADS; /* of a thread */

struct ExpandTerm {
    Matrix16 hidden; /* [rows, r] */
    Matrix16 factor; /* B [N, r] or A [r, K] */
    Mask mask;
    float scale;

    ExpandTerm() : hidden(nullptr, 0, 0, 0, 0), factor(nullptr, 0, 0, 0, 0), mask{}, scale(0) {}
};

template <class Y>
struct Expand {
    Y *y; /* the first row of the terms */
    int64_t pitch;
    int64_t rows;
    int64_t cols;
    bool whole;
    int depth; /* columns of a tile of h: the largest rank rounded up to 16, at most DEPTH */
    int count;
    ExpandTerm terms[TERMS];
};

/* Rows x cols elements of x from (row, col) on to a tile, zeros outside it. cols is a multiple of 8. */
__device__ __forceinline__ void copy_part(bf16 *tile, const Matrix16 &x, int rows, int cols, int64_t row, int64_t col) {
    const int runs = cols / RUN;
    for (int i = threadIdx.x; i < rows * runs; i += THREADS) {
        const int r = i / runs;
        const int c = i % runs * RUN;
        copy_run(tile + r * (cols + PAD) + c, x.start + (row + r) * x.pitch + col + c, row + r < x.rows ? x.cols - (col + c) : 0, x.packed);
    }
}

/* sum = the warp's 32 x 32 elements of hidden times factor, all ranks. */
template <bool RankContiguous>
__device__ __forceinline__ void multiply_term(float (&sum)[2][4][4], bf16 *shared, const ExpandTerm &term, int depth, int64_t row,
                                              int64_t col) {
    bf16 *hidden = shared;
    bf16 *factor = shared + TILE * (depth + PAD);
    const int warp_row = threadIdx.x / WARP / 2 * 32;
    const int warp_col = threadIdx.x / WARP % 2 * 32;
    for (int64_t rank = 0; rank < term.hidden.cols; rank += depth) {
        __syncthreads(); // all are done with what was in shared memory
        copy_part(hidden, term.hidden, TILE, depth, row, rank);
        if (RankContiguous) {
            copy_part(factor, term.factor, TILE, depth, col, rank);
        } else {
            copy_part(factor, term.factor, depth, TILE, rank, col);
        }
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads();
        for (int k = 0; k < depth; k += 16) {
            uint32_t a[2][4];
            for (int i = 0; i < 2; i++) {
                load_a(a[i], hidden + (warp_row + 16 * i) * (depth + PAD) + k, depth + PAD);
            }
#pragma unroll
            for (int j = 0; j < 4; j += 2) {
                uint32_t b0[2];
                uint32_t b1[2];
                if (RankContiguous) {
                    load_b(b0, b1, factor + (warp_col + 8 * j) * (depth + PAD) + k, depth + PAD);
                } else {
                    load_b_transposed(b0, b1, factor + k * (TILE + PAD) + warp_col + 8 * j, TILE + PAD);
                }
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    mma_bf16(sum[i][j], a[i], b0);
                    mma_bf16(sum[i][j + 1], a[i], b1);
                }
            }
        }
    }
    __syncthreads();
}

/* Where a run of a thread lies in a tile. */
__device__ __forceinline__ int run_row(int i) {
    return (threadIdx.x + i * THREADS) / (TILE / RUN);
}
__device__ __forceinline__ int run_col(int i) {
    return (threadIdx.x + i * THREADS) % (TILE / RUN) * RUN;
}

/* The thread's runs of y to its places in `before`, [TILE][TILE]; asynchronously, in the caller's group of copies. */
template <class Y>
__device__ __forceinline__ void fetch(Y *before, const Expand<Y> &p, int64_t row, int64_t col) {
    for (int i = 0; i < RUNS; i++) {
        const int r = run_row(i);
        const int c = run_col(i);
        const bool inside = row + r < p.rows && col + c < p.cols;
        for (int j = 0; j < RUN; j += Pack<Y>::N) {
            cp_async16(before + r * TILE + c + j, p.y + (row + r) * p.pitch + col + c + j, inside);
        }
    }
}

template <class Y, bool RankContiguous>
__global__ void __launch_bounds__(THREADS) lora_expand_kernel(Expand<Y> p) {
    Y *before = shared_memory<Y>(); // [TILE][TILE], where y has whole runs
    bf16 *tiles = reinterpret_cast<bf16 *>(before + TILE * TILE);
    float *sums = reinterpret_cast<float *>(tiles); // [TILE][SUMS_PITCH], in place of the tiles
    const int64_t col_blocks = ceil_div<int64_t>(p.cols, TILE);
    const int64_t row = blockIdx.x / col_blocks * TILE;
    const int64_t col = blockIdx.x % col_blocks * TILE;
    const int warp = threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;

    if (p.whole) {
        fetch(before, p, row, col);
    }
    float added[RUNS][RUN] = {};
    for (int t = 0; t < p.count; t++) {
        const ExpandTerm &term = p.terms[t];
        float sum[2][4][4] = {};
        multiply_term<RankContiguous>(sum, tiles, term, p.depth, row, col);
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float *corner = sums + (warp / 2 * 32 + 16 * i + lane / 4) * SUMS_PITCH + warp % 2 * 32 + 8 * j + lane % 4 * 2;
                store_pair(corner, sum[i][j][0], sum[i][j][1]);
                store_pair(corner + 8 * SUMS_PITCH, sum[i][j][2], sum[i][j][3]);
            }
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < RUNS; i++) {
            const int r = run_row(i);
            const int c = run_col(i);
            const uint32_t kept = term.mask.drops() ? term.mask.kept(row + r, col + c) : 0xffu;
            float value[RUN];
            load_run(value, sums + r * SUMS_PITCH + c, RUN, true);
            for (int j = 0; j < RUN; j++) {
                added[i][j] += (kept >> j & 1) != 0 ? term.scale * value[j] : 0;
            }
        }
    }
#pragma unroll
    for (int i = 0; i < RUNS; i++) {
        const int64_t left = p.cols - (col + run_col(i));
        if (row + run_row(i) < p.rows && left > 0) {
            Y *y = p.y + (row + run_row(i)) * p.pitch + col + run_col(i);
            float value[RUN];
            load_run(value, p.whole ? before + run_row(i) * TILE + run_col(i) : y, left, p.whole);
            for (int j = 0; j < RUN; j++) {
                value[j] += added[i][j];
            }
            store_run(value, y, left, p.whole);
        }
    }
}

/* What a launch adds: the terms among `terms` that have the rows of the first one, TERMS at a time. make(term) gives an ExpandTerm. */
template <class Y, bool RankContiguous, class Make>
int32_t expand_together(const char *operation, void *stream, Y *y, int64_t pitch, int64_t cols, const graft_lora_term *const *terms,
                        int count, Make make) {
    for (int first = 0; first < count; first += TERMS) {
        Expand<Y> arguments{};
        arguments.y = y + terms[0]->from_row * pitch;
        arguments.pitch = pitch;
        arguments.rows = terms[0]->to_row - terms[0]->from_row;
        arguments.cols = cols;
        arguments.whole = has_whole_runs<Y>(arguments.y, pitch, cols);
        arguments.count = std::min(count - first, TERMS);
        for (int i = 0; i < arguments.count; i++) {
            arguments.terms[i] = make(*terms[first + i]);
            arguments.depth = std::max(arguments.depth, std::min(ceil_div(terms[first + i]->rank, 16) * 16, DEPTH));
        }
        const int64_t blocks = ceil_div<int64_t>(arguments.rows, TILE) * ceil_div<int64_t>(cols, TILE);
        const int factor_elements = RankContiguous ? TILE * (arguments.depth + PAD) : arguments.depth * (TILE + PAD);
        const size_t tile_bytes = static_cast<size_t>(TILE * (arguments.depth + PAD) + factor_elements) * sizeof(bf16);
        const size_t shared_bytes = TILE * TILE * sizeof(Y) + std::max(tile_bytes, TILE * SUMS_PITCH * sizeof(float));
        const int32_t status = launch(operation, lora_expand_kernel<Y, RankContiguous>, dim3(static_cast<unsigned>(blocks)), dim3(THREADS),
                                      shared_bytes, stream, arguments);
        if (status != GRAFT_OK) {
            return status;
        }
    }
    return GRAFT_OK;
}

/* Terms that share their rows are added together, at the place of the first of them. */
template <class Y, bool RankContiguous, class Make>
int32_t expand(const char *operation, void *stream, void *y, int64_t pitch, int64_t cols, const graft_lora_term *terms, int32_t count,
               Make make) {
    bool done[GRAFT_MAX_TERMS] = {};
    for (int32_t first = 0; first < count; first++) {
        const graft_lora_term *together[GRAFT_MAX_TERMS];
        int used = 0;
        for (int32_t other = first; other < count; other++) {
            if (!done[other] && terms[other].from_row == terms[first].from_row && terms[other].to_row == terms[first].to_row) {
                done[other] = true;
                together[used++] = &terms[other];
            }
        }
        const int32_t status =
            expand_together<Y, RankContiguous>(operation, stream, static_cast<Y *>(y), pitch, cols, together, used, make);
        if (status != GRAFT_OK) {
            return status;
        }
    }
    return GRAFT_OK;
}

ExpandTerm output_term(const graft_lora_term &term, int64_t outer) {
    ExpandTerm result;
    result.hidden = Matrix16(term.hidden, term.hidden_pitch, 0, term.to_row - term.from_row, term.rank);
    result.factor = Matrix16(term.b, term.b_pitch, 0, outer, term.rank);
    result.scale = 1;
    return result;
}

ExpandTerm gradient_term(const graft_lora_term &term, int64_t inner) {
    ExpandTerm result;
    result.hidden = Matrix16(term.hidden_gradient, term.hidden_gradient_pitch, 0, term.to_row - term.from_row, term.rank);
    result.factor = Matrix16(term.a, term.a_pitch, 0, term.rank, inner);
    result.mask = Mask(term, inner);
    result.scale = mask_scale(term);
    return result;
}

} // namespace

} // namespace graft

int32_t graft_lora_expand_output(void *stream, int32_t dtype, int32_t y_dtype, void *y, int64_t y_pitch, int64_t outer,
                                 const graft_lora_term *terms, int32_t count) {
    using namespace graft;
    const char *operation = "lora_expand_output";
    const int32_t status = check_terms(operation, dtype, terms, count);
    if (status != GRAFT_OK) {
        return status;
    }
    const auto make = [&](const graft_lora_term &term) { return output_term(term, outer); };
    if (dtype == GRAFT_F32 && y_dtype == GRAFT_F32) {
        return for_terms(terms, count, [&](const graft_lora_term &term) {
            return expand_output_f32(stream, static_cast<float *>(y), y_pitch, outer, term);
        });
    }
    if (dtype == GRAFT_BF16 && y_dtype == GRAFT_F32) {
        return expand<float, true>(operation, stream, y, y_pitch, outer, terms, count, make);
    }
    if (dtype == GRAFT_BF16 && y_dtype == GRAFT_BF16) {
        return expand<bf16, true>(operation, stream, y, y_pitch, outer, terms, count, make);
    }
    return fail(GRAFT_INVALID_ARGUMENT, operation, "y is F32, or BF16 where the factors are");
}

int32_t graft_lora_expand_gradient(void *stream, int32_t dtype, void *dx, int64_t dx_pitch, int64_t inner, const graft_lora_term *terms,
                                   int32_t count) {
    using namespace graft;
    const char *operation = "lora_expand_gradient";
    const int32_t status = check_terms(operation, dtype, terms, count);
    if (status != GRAFT_OK) {
        return status;
    }
    if (dtype == GRAFT_F32) {
        return for_terms(terms, count, [&](const graft_lora_term &term) {
            return expand_gradient_f32(stream, static_cast<float *>(dx), dx_pitch, inner, term);
        });
    }
    return expand<bf16, false>(operation, stream, dx, dx_pitch, inner, terms, count,
                               [&](const graft_lora_term &term) { return gradient_term(term, inner); });
}
