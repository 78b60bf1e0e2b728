/* The emulated wgmma: that its products are right, and that what would go wrong on a GPU is found. */
#include <cmath>
#include <memory>
#include <vector>

#include "check.h"
#include "emulator/control.h"
#include "wgmma_tile.cuh"

using namespace graft;

namespace {

constexpr int D = 128;
constexpr int A_ROWS = 128;
constexpr int B_ROWS = 64;
constexpr int THREADS = 2 * WARPGROUP;
constexpr size_t SHARED_BYTES = TILE_ALIGNMENT + (A_ROWS + B_ROWS) * D * sizeof(bf16);

enum class Wrong {
    NOTHING,
    NO_WAIT,
    NO_FENCE,
    SUMS_CHANGED,
    A_WRITTEN_LATE,
    WARP_MISSING,
    NO_PROXY_FENCE,
    A_CHANGED,
    RETURNED,
    GROUPS_MIXED,
};

struct Result {
    float product[A_ROWS][B_ROWS]; /* a b^T */
    float weighted[A_ROWS][D];     /* bf16(a b^T) b */
};

__global__ void multiply(const bf16 *a, const bf16 *b, Result *result, Wrong wrong) {
    bf16 *a_tile = shared_tiles();
    bf16 *b_tile = a_tile + A_ROWS * D;
    const int warp_row = static_cast<int>(threadIdx.x) / WARP * 16;
    /* rows of a warpgroup; one that a warp of it sees otherwise is an error */
    const int group_row = wrong == Wrong::GROUPS_MIXED ? warp_row / 32 * 32 % 128 : warp_row / 64 * 64;
    load_panels<D, A_ROWS, THREADS>(a_tile, a, D, A_ROWS, D);
    load_panels<D, B_ROWS, THREADS>(b_tile, b, D, B_ROWS, D);
    cp_async_commit();
    if (wrong == Wrong::NO_PROXY_FENCE) {
        cp_async_wait<0>();
        __syncthreads();
    } else {
        tiles_loaded();
    }
    float product[1][B_ROWS / 8][4];
    clear(product);
    if (wrong != Wrong::NO_FENCE) {
        wgmma_fence(product[0]);
    }
    if (wrong == Wrong::SUMS_CHANGED) {
        product[0][0][0] = 1;
    }
    start_transposed<D, A_ROWS, B_ROWS>(product[0], a_tile, group_row, b_tile);
    wgmma_commit();
    if (wrong != Wrong::NO_WAIT) {
        wgmma_wait<0>(product[0]);
    }
    set_sums(product, [&](int m, int n, int i) {
        return result->product[warp_row + sum_row(m, i)][sum_column(n, i)] = product[m][n][i];
    });
    uint32_t weights[B_ROWS / 16][4];
    round_weights<B_ROWS>(weights, product[0]);
    float weighted[1][D / 8][4];
    set_sums(weighted, [](int, int, int) { return 1.0f; });
    wgmma_fence(weights, weighted[0]);
    if (wrong == Wrong::WARP_MISSING && warp_row == 48) {
        return;
    }
    if (wrong == Wrong::A_WRITTEN_LATE) {
        weights[1][2]++;
    }
    start_weighted<D, B_ROWS>(weighted[0], weights, b_tile);
    wgmma_commit();
    if (wrong == Wrong::A_CHANGED) {
        weights[1][2]++;
    }
    if (wrong != Wrong::RETURNED) {
        wgmma_wait<0>(weighted[0], weights);
    }
    set_sums(weighted, [&](int m, int n, int i) {
        return result->weighted[warp_row + sum_row(m, i)][sum_column(n, i)] = weighted[m][n][i];
    });
}

std::vector<bf16> numbers(int count, uint32_t seed) {
    std::vector<bf16> out(static_cast<size_t>(count));
    for (bf16 &value : out) {
        seed = seed * 1664525u + 1013904223u;
        value = to_bf16(static_cast<float>(seed >> 8) * 0x1p-23f - 1);
    }
    return out;
}

const std::vector<bf16> a = numbers(A_ROWS * D, 1);
const std::vector<bf16> b = numbers(B_ROWS * D, 2);

int32_t run(Result &result, Wrong wrong) {
    graft_emulator_reset();
    graft_emulator_set_shared_bytes(227 * 1024);
    return launch("multiply", multiply, dim3(1), dim3(THREADS), SHARED_BYTES, nullptr, a.data(), b.data(), &result, wrong);
}

void products_are_right() {
    auto result = std::make_unique<Result>();
    CHECK(run(*result, Wrong::NOTHING) == GRAFT_OK);
    bool right = true;
    for (int row = 0; row < A_ROWS; row++) {
        double weighted[D] = {};
        for (int column = 0; column < B_ROWS; column++) {
            double sum = 0;
            for (int k = 0; k < D; k++) {
                sum += static_cast<double>(to_float(a[row * D + k])) * to_float(b[column * D + k]);
            }
            right = right && std::fabs(result->product[row][column] - sum) < 1e-4;
            for (int k = 0; k < D; k++) {
                weighted[k] += static_cast<double>(to_float(to_bf16(result->product[row][column]))) * to_float(b[column * D + k]);
            }
        }
        for (int k = 0; k < D; k++) {
            right = right && std::fabs(result->weighted[row][k] - 1 - weighted[k]) < 1e-4;
        }
    }
    CHECK(right);
}

void mistakes_are_found() {
    auto result = std::make_unique<Result>();
    CHECK(run(*result, Wrong::NO_FENCE) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "without a wgmma.fence of the registers of the sums");
    CHECK(run(*result, Wrong::SUMS_CHANGED) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "registers of the sums were written behind the wgmma.fence");
    CHECK(run(*result, Wrong::A_WRITTEN_LATE) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "registers of A were written behind the wgmma.fence");
    CHECK(run(*result, Wrong::WARP_MISSING) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "warp 3 started 8 wgmma, the first of its warpgroup 12");
    CHECK(run(*result, Wrong::NO_PROXY_FENCE) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "without a fence.proxy.async");
    CHECK(run(*result, Wrong::A_CHANGED) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "registers of A changed");
    CHECK(run(*result, Wrong::RETURNED) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "returned while a wgmma was in flight");
    CHECK(run(*result, Wrong::GROUPS_MIXED) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "another warp of its warpgroup");
    CHECK(run(*result, Wrong::NO_WAIT) == GRAFT_OK);
    CHECK(std::isnan(result->product[3][5]));
}

} // namespace

int main() {
    RUN(products_are_right);
    RUN(mistakes_are_found);
    return test::result();
}
