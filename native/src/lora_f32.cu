/*
 * The products of low-rank adapters in float32: one plain kernel for all of them (lora.cuh lists them), out (= or +=) scale * a b,
 * with a mask over a or over the product. No tensor cores: TF32 would round what was asked for in float32.
 *
 * A block of 256 threads takes 32 x 32 elements and walks along the inner dimension in steps of 32, through shared memory; a thread
 * has four of them. Operands are given by their steps, so that a matrix and its transpose are the same thing; what is contiguous in
 * memory is what neighbouring threads read.
 */
#include "lora.cuh"

namespace graft {

namespace {

constexpr int THREADS = 256;
constexpr int TILE = 32;
constexpr int PITCH = TILE + 1;

/* element(i, j) = start[i * row_step + j * col_step] */
struct Operand {
    const float *start;
    int64_t row_step;
    int64_t col_step;

    static Operand matrix(const void *start, int64_t pitch) {
        return {static_cast<const float *>(start), pitch, 1};
    }

    Operand transposed() const {
        return {start, col_step, row_step};
    }
};

/* The element of a mask that belongs to (i, j) is first + i * row_step + j * col_step. */
struct StridedMask {
    Dropout dropout;
    int64_t first;
    int64_t row_step;
    int64_t col_step;

    static StridedMask of(const graft_lora_term &term, int64_t cols) {
        return {Dropout(term), term.from_row * cols, cols, 1};
    }

    StridedMask transposed() const {
        return {dropout, first, col_step, row_step};
    }

    __device__ __forceinline__ bool keeps(int64_t row, int64_t col) const {
        return dropout.threshold == 0 || is_kept(dropout, first + row * row_step + col * col_step);
    }
};

struct Product {
    Operand a; /* [rows, inner] */
    Operand b; /* [inner, cols] */
    int64_t rows;
    int64_t cols;
    int64_t inner;
    StridedMask mask_a;
    StridedMask mask_out;
    float scale;
    bool accumulate;
    float *out;
    int64_t out_row_step;
    int64_t out_col_step;
    float *copy; /* or null */
    int64_t copy_pitch;
};

/* TILE x TILE elements from (row, col) on, zeros from (row_end, col_end) on; the contiguous dimension along the threads. */
__device__ __forceinline__ void load_tile(float *tile, const Operand &x, int64_t row, int64_t row_end, int64_t col, int64_t col_end,
                                          const StridedMask &mask) {
    for (int i = threadIdx.x; i < TILE * TILE; i += THREADS) {
        const int r = x.col_step == 1 ? i / TILE : i % TILE;
        const int c = x.col_step == 1 ? i % TILE : i / TILE;
        const bool inside = row + r < row_end && col + c < col_end && mask.keeps(row + r, col + c);
        tile[r * PITCH + c] = inside ? x.start[(row + r) * x.row_step + (col + c) * x.col_step] : 0;
    }
}

__global__ void __launch_bounds__(THREADS) lora_product_f32_kernel(Product p) {
    float *a = shared_memory<float>(); // [TILE rows][PITCH]
    float *b = a + TILE * PITCH;       // [TILE inner][PITCH]
    const int64_t col_blocks = ceil_div<int64_t>(p.cols, TILE);
    const int64_t row = blockIdx.x / col_blocks * TILE;
    const int64_t col = blockIdx.x % col_blocks * TILE;
    const int own_row = threadIdx.x / 8;
    const int own_col = threadIdx.x % 8; // and every 8th from there

    float sum[4] = {};
    for (int64_t k = 0; k < p.inner; k += TILE) {
        load_tile(a, p.a, row, p.rows, k, p.inner, p.mask_a);
        load_tile(b, p.b, k, p.inner, col, p.cols, StridedMask{});
        __syncthreads();
        for (int i = 0; i < TILE; i++) {
            for (int j = 0; j < 4; j++) {
                sum[j] += a[own_row * PITCH + i] * b[i * PITCH + own_col + 8 * j];
            }
        }
        __syncthreads();
    }
    for (int j = 0; j < 4; j++) {
        const int64_t r = row + own_row;
        const int64_t c = col + own_col + 8 * j;
        if (r < p.rows && c < p.cols) {
            float value = p.mask_out.keeps(r, c) ? p.scale * sum[j] : 0;
            float *out = p.out + r * p.out_row_step + c * p.out_col_step;
            value += p.accumulate ? *out : 0;
            *out = value;
            if (p.copy != nullptr) {
                p.copy[r * p.copy_pitch + c] = value;
            }
        }
    }
}

int32_t multiply(const char *operation, void *stream, const Product &product) {
    const int64_t blocks = ceil_div<int64_t>(product.rows, TILE) * ceil_div<int64_t>(product.cols, TILE);
    return launch(operation, lora_product_f32_kernel, dim3(static_cast<unsigned>(blocks)), dim3(THREADS), 2 * TILE * PITCH * sizeof(float), stream,
                  product);
}

int64_t row_count(const graft_lora_term &term) {
    return term.to_row - term.from_row;
}

float *border(const graft_lora_term &term) {
    return term.border == nullptr ? nullptr : static_cast<float *>(term.border) + term.from_row * term.border_pitch;
}

} // namespace

int32_t shrink_input_f32(void *stream, const float *x, int64_t x_pitch, int64_t inner, const graft_lora_term &term) {
    Product product{};
    product.a = Operand::matrix(x + term.from_row * x_pitch, x_pitch);
    product.b = Operand::matrix(term.a, term.a_pitch).transposed();
    product.rows = row_count(term);
    product.cols = term.rank;
    product.inner = inner;
    product.mask_a = StridedMask::of(term, inner);
    product.scale = term.scale * mask_scale(term);
    product.out = static_cast<float *>(term.hidden);
    product.out_row_step = term.hidden_pitch;
    product.out_col_step = 1;
    product.copy = border(term);
    product.copy_pitch = term.border_pitch;
    return multiply("lora_shrink_input", stream, product);
}

int32_t shrink_gradient_f32(void *stream, const float *dy, int64_t dy_pitch, int64_t inner, const graft_lora_term &term) {
    const Operand rows_of_dy = Operand::matrix(dy + term.from_row * dy_pitch, dy_pitch);
    Product u{};
    u.a = rows_of_dy;
    u.b = Operand::matrix(term.b, term.b_pitch);
    u.rows = row_count(term);
    u.cols = term.rank;
    u.inner = inner;
    u.scale = term.scale;
    u.out = static_cast<float *>(term.hidden_gradient);
    u.out_row_step = term.hidden_gradient_pitch;
    u.out_col_step = 1;
    u.copy = border(term);
    u.copy_pitch = term.border_pitch;
    const int32_t status = multiply("lora_shrink_gradient", stream, u);
    if (status != GRAFT_OK) {
        return status;
    }
    Product db{};
    db.a = rows_of_dy.transposed();
    db.b = Operand::matrix(term.hidden, term.hidden_pitch);
    db.rows = inner;
    db.cols = term.rank;
    db.inner = row_count(term);
    db.scale = 1;
    db.accumulate = true;
    db.out = term.b_gradient;
    db.out_row_step = term.b_gradient_pitch;
    db.out_col_step = 1;
    return multiply("lora_shrink_gradient", stream, db);
}

int32_t input_factor_gradient_f32(void *stream, const float *x, int64_t x_pitch, int64_t inner, const graft_lora_term &term) {
    Product product{}; // of dA transposed: x^T u
    product.a = Operand::matrix(x + term.from_row * x_pitch, x_pitch).transposed();
    product.b = Operand::matrix(term.hidden_gradient, term.hidden_gradient_pitch);
    product.rows = inner;
    product.cols = term.rank;
    product.inner = row_count(term);
    product.mask_a = StridedMask::of(term, inner).transposed();
    product.scale = mask_scale(term);
    product.accumulate = true;
    product.out = term.a_gradient;
    product.out_row_step = 1;
    product.out_col_step = term.a_gradient_pitch;
    return multiply("lora_input_factor_gradient", stream, product);
}

int32_t expand_output_f32(void *stream, float *y, int64_t y_pitch, int64_t outer, const graft_lora_term &term) {
    Product product{};
    product.a = Operand::matrix(term.hidden, term.hidden_pitch);
    product.b = Operand::matrix(term.b, term.b_pitch).transposed();
    product.rows = row_count(term);
    product.cols = outer;
    product.inner = term.rank;
    product.scale = 1;
    product.accumulate = true;
    product.out = y + term.from_row * y_pitch;
    product.out_row_step = y_pitch;
    product.out_col_step = 1;
    return multiply("lora_expand_output", stream, product);
}

int32_t expand_gradient_f32(void *stream, float *dx, int64_t dx_pitch, int64_t inner, const graft_lora_term &term) {
    Product product{};
    product.a = Operand::matrix(term.hidden_gradient, term.hidden_gradient_pitch);
    product.b = Operand::matrix(term.a, term.a_pitch);
    product.rows = row_count(term);
    product.cols = inner;
    product.inner = term.rank;
    product.mask_out = StridedMask::of(term, inner);
    product.scale = mask_scale(term);
    product.accumulate = true;
    product.out = dx + term.from_row * dx_pitch;
    product.out_row_step = dx_pitch;
    product.out_col_step = 1;
    return multiply("lora_expand_gradient", stream, product);
}

} // namespace graft
