/* The emulated multiprocessor: what CUDA's barriers, collectives and copies do, and that wrong kernels are found. */
#include <chrono>
#include <cmath>
#include <vector>

#include "check.h"
#include "emulator/control.h"
#include "reduce.cuh"

using namespace graft;

namespace {

/* Each test starts with a device as new. */
void fresh() {
    graft_emulator_reset();
}

std::string violation() {
    return graft_emulator_last_violation();
}

/* ---- grids */

__global__ void number_threads(uint32_t *out) {
    const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] += block * 1000 + thread;
}

void every_thread_runs_once() {
    for (int workers = 1; workers <= 2; workers++) {
        fresh();
        graft_emulator_set_workers(workers);
        std::vector<uint32_t> out(2 * 3 * 2 * 5 * 3 * 2, 7);
        CHECK(launch("number", number_threads, dim3(2, 3, 2), dim3(5, 3, 2), 0, nullptr, out.data()) == GRAFT_OK);
        bool right = true;
        for (unsigned i = 0; i < out.size(); i++) {
            right = right && out[i] == 7 + i / 30 * 1000 + i % 30;
        }
        CHECK(right);
    }
    CHECK(graft_emulator_count(GRAFT_EMULATOR_LAUNCH) == 1);
}

void empty_grids_do_nothing() {
    fresh();
    CHECK(launch("number", number_threads, dim3(0), dim3(32), 0, nullptr, nullptr) == GRAFT_OK);
    CHECK(graft_emulator_count(GRAFT_EMULATOR_LAUNCH) == 0);
}

void impossible_launches_are_refused() {
    fresh();
    int nowhere = 0;
    CHECK(launch("number", number_threads, dim3(1), dim3(1025), 0, nullptr, nullptr) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "1024 threads");
    CHECK(launch("number", number_threads, dim3(1, 65536), dim3(32), 0, nullptr, nullptr) == GRAFT_CUDA_ERROR);
    CHECK(launch("number", number_threads, dim3(1), dim3(32), 200 * 1024, nullptr, nullptr) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "shared memory");
    CHECK(launch("number", number_threads, dim3(1), dim3(32), 0, &nowhere, nullptr) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "stream");
}

/* ---- barriers */

/* Rotates the block's numbers by one through shared memory, `rounds` times. */
__global__ void rotate(uint32_t *out, int rounds, bool second_barrier) {
    auto *shared = shared_memory<uint32_t>();
    uint32_t value = threadIdx.x;
    for (int i = 0; i < rounds; i++) {
        shared[threadIdx.x] = value;
        __syncthreads();
        value = shared[(threadIdx.x + 1) % blockDim.x];
        if (second_barrier) {
            __syncthreads();
        }
    }
    out[threadIdx.x] = value;
}

std::vector<uint32_t> rotated(unsigned threads, int rounds, bool second_barrier, bool descending) {
    fresh();
    graft_emulator_set_descending(descending);
    std::vector<uint32_t> out(threads);
    CHECK(launch("rotate", rotate, dim3(1), dim3(threads), threads * 4, nullptr, out.data(), rounds, second_barrier) == GRAFT_OK);
    return out;
}

void barriers_hold_the_block_together() {
    for (unsigned threads : {1u, 7u, 32u, 50u, 256u, 1024u}) {
        for (bool descending : {false, true}) {
            const std::vector<uint32_t> out = rotated(threads, 5, true, descending);
            bool right = true;
            for (unsigned i = 0; i < threads; i++) {
                right = right && out[i] == (i + 5) % threads;
            }
            CHECK(right);
        }
    }
}

void missing_barrier_shows_in_the_order() {
    CHECK(rotated(64, 5, true, false) == rotated(64, 5, true, true));
    CHECK(rotated(64, 5, false, false) != rotated(64, 5, false, true));
}

__global__ void share_with_neighbour(uint32_t *out, bool barrier) {
    auto *shared = shared_memory<uint32_t>();
    shared[threadIdx.x] = threadIdx.x;
    if (barrier) {
        __syncwarp();
    }
    out[threadIdx.x] = shared[threadIdx.x ^ 1];
}

void missing_warp_barrier_shows_in_the_order() {
    std::vector<uint32_t> up(32), down(32), right(32);
    fresh();
    CHECK(launch("share", share_with_neighbour, dim3(1), dim3(32), 128, nullptr, right.data(), true) == GRAFT_OK);
    CHECK(launch("share", share_with_neighbour, dim3(1), dim3(32), 128, nullptr, up.data(), false) == GRAFT_OK);
    graft_emulator_set_descending(1);
    CHECK(launch("share", share_with_neighbour, dim3(1), dim3(32), 128, nullptr, down.data(), false) == GRAFT_OK);
    CHECK(right[4] == 5 && right[5] == 4);
    CHECK(up != right);
    CHECK(up != down);
}

/* ---- divergence */

enum class Wrong { SOME_LEAVE, TWO_PLACES, HALF_A_WARP, TWO_COLLECTIVES, ODD_WARP, PARTIAL_MASK };

__global__ void diverge(Wrong wrong, float *out) {
    float value = threadIdx.x;
    switch (wrong) {
    case Wrong::SOME_LEAVE:
        if (threadIdx.x == 33) {
            return;
        }
        __syncthreads();
        break;
    case Wrong::TWO_PLACES:
        if (threadIdx.x < 32) {
            __syncthreads();
        } else {
            __syncthreads();
        }
        break;
    case Wrong::HALF_A_WARP:
        if (threadIdx.x % 32 < 16) {
            __syncwarp();
        }
        break;
    case Wrong::TWO_COLLECTIVES:
        value = threadIdx.x % 32 == 5 ? __shfl_sync(FULL_WARP, value, 0) : __shfl_xor_sync(FULL_WARP, value, 1);
        break;
    case Wrong::ODD_WARP:
        value = warp_sum(value);
        break;
    case Wrong::PARTIAL_MASK:
        value = __shfl_xor_sync(0xffffu, value, 1);
        break;
    }
    out[threadIdx.x] = value;
}

/* Runs the wrong kernel on a context of its own, which the failure leaves unusable. */
std::string divergence(Wrong wrong, unsigned threads) {
    fresh();
    std::vector<float> out(threads);
    CHECK(launch("diverge", diverge, dim3(3), dim3(threads), 0, nullptr, wrong, out.data()) == GRAFT_CUDA_ERROR);
    CHECK(launch("diverge", diverge, dim3(3), dim3(threads), 0, nullptr, wrong, out.data()) == GRAFT_CUDA_ERROR);
    CHECK(graft_emulator_violations() == 1);
    return violation();
}

void divergence_is_reported() {
    std::string text = divergence(Wrong::SOME_LEAVE, 64);
    CHECK_CONTAINS(text, "diverge, block (0, 0, 0), thread (");
    CHECK_CONTAINS(text, "63 threads (the first is (0, 0, 0)) wait in __syncthreads (");
    CHECK_CONTAINS(text, "1 thread (the first is (33, 0, 0)) have returned");
    CHECK_CONTAINS(divergence(Wrong::TWO_PLACES, 64), "waits in __syncthreads at");
    CHECK_CONTAINS(divergence(Wrong::HALF_A_WARP, 64), "lanes 0x0000ffff of warp 0 wait in __syncwarp");
    CHECK_CONTAINS(divergence(Wrong::TWO_COLLECTIVES, 64), "thread (5, 0, 0): divergence: waits in __shfl_sync");
    CHECK_CONTAINS(divergence(Wrong::ODD_WARP, 40), "multiple of 32");
    CHECK_CONTAINS(divergence(Wrong::PARTIAL_MASK, 32), "mask 0x0000ffff");
    fresh();
    std::vector<float> out(256);
    CHECK(launch("rotate", rotate, dim3(1), dim3(64), 256, nullptr, reinterpret_cast<uint32_t *>(out.data()), 3, true) == GRAFT_OK);
}

/* ---- collectives */

__global__ void collect(float *sums, int *moved, uint32_t *votes) {
    const int i = static_cast<int>(threadIdx.x);
    const int lane = i % 32;
    sums[2 * i] = block_sum(static_cast<float>(i), shared_memory<float>());
    sums[2 * i + 1] = warp_max(static_cast<float>(i));
    moved[6 * i] = __shfl_sync(FULL_WARP, i, 3);
    moved[6 * i + 1] = __shfl_up_sync(FULL_WARP, i, 2);
    moved[6 * i + 2] = __shfl_down_sync(FULL_WARP, i, 5);
    moved[6 * i + 3] = __shfl_sync(FULL_WARP, i, 3, 8);
    moved[6 * i + 4] = __shfl_down_sync(FULL_WARP, i, 1, 4);
    moved[6 * i + 5] = __shfl_xor_sync(FULL_WARP, i, 4, 8);
    votes[3 * i] = __ballot_sync(FULL_WARP, lane % 3 == 0);
    votes[3 * i + 1] = static_cast<uint32_t>(__any_sync(FULL_WARP, i == 40));
    votes[3 * i + 2] = static_cast<uint32_t>(__all_sync(FULL_WARP, i < 40));
}

void shuffles_and_votes() {
    for (bool descending : {false, true}) {
        fresh();
        graft_emulator_set_descending(descending);
        constexpr int n = 96;
        std::vector<float> sums(2 * n);
        std::vector<int> moved(6 * n);
        std::vector<uint32_t> votes(3 * n);
        CHECK(launch("collect", collect, dim3(1), dim3(n), 12, nullptr, sums.data(), moved.data(), votes.data()) == GRAFT_OK);
        for (int i = 0; i < n; i++) {
            const int lane = i % 32;
            const int warp = i - lane;
            CHECK(sums[2 * i] == n * (n - 1) / 2);
            CHECK(sums[2 * i + 1] == warp + 31);
            CHECK(moved[6 * i] == warp + 3);
            CHECK(moved[6 * i + 1] == (lane < 2 ? i : i - 2));
            CHECK(moved[6 * i + 2] == (lane > 26 ? i : i + 5));
            CHECK(moved[6 * i + 3] == warp + lane / 8 * 8 + 3);
            CHECK(moved[6 * i + 4] == (lane % 4 == 3 ? i : i + 1));
            CHECK(moved[6 * i + 5] == (i ^ 4));
            CHECK(votes[3 * i] == 0x49249249u);
            CHECK(votes[3 * i + 1] == (warp == 32));
            CHECK(votes[3 * i + 2] == (warp == 0));
        }
    }
}

/* ---- tensor cores: c[16, 8] = a[16, 16] b[16, 8], loaded as a real kernel does: a from rows, b transposed from rows of [k, n] */

__global__ void multiply(const bf16 *a, const bf16 *b, float *c) {
    auto *shared = shared_memory<bf16>();
    bf16 *shared_a = shared;                /* [16, 16] */
    bf16 *shared_b = shared + 16 * 16;      /* [16, 16], the right half unused by the product */
    const int lane = static_cast<int>(threadIdx.x);
    for (int i = lane; i < 256; i += 32) {
        shared_a[i] = a[i];
        shared_b[i] = b[i];
    }
    __syncwarp();
    uint32_t fa[4], fb[4];
    ldmatrix_x4(fa, shared_a + (lane % 16) * 16 + lane / 16 * 8);
    ldmatrix_x4_transposed(fb, shared_b + (lane % 16) * 16 + lane / 16 * 8);
    for (int half = 0; half < 2; half++) {
        float d[4] = {0, 0, 0, 0};
        const uint32_t part[2] = {fb[2 * half], fb[2 * half + 1]};
        mma_bf16(d, fa, part);
        mma_bf16(d, fa, part);
        for (int i = 0; i < 4; i++) {
            c[(lane / 4 + i / 2 * 8) * 16 + half * 8 + lane % 4 * 2 + i % 2] = d[i];
        }
    }
}

void tensor_cores_multiply() {
    fresh();
    std::vector<bf16> a(256), b(256);
    for (int i = 0; i < 256; i++) {
        a[i] = to_bf16(static_cast<float>((i * 37) % 19) - 9);
        b[i] = to_bf16(static_cast<float>((i * 53) % 23) / 4 - 2);
    }
    std::vector<float> c(256);
    CHECK(launch("multiply", multiply, dim3(1), dim3(32), 1024, nullptr, a.data(), b.data(), c.data()) == GRAFT_OK);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 16; j++) {
            double sum = 0;
            for (int k = 0; k < 16; k++) {
                sum += static_cast<double>(to_float(a[i * 16 + k])) * to_float(b[k * 16 + j]);
            }
            CHECK(c[i * 16 + j] == 2 * sum); /* small integers and quarters: exact */
        }
    }
}

/* ---- number formats */

void conversions_round_to_nearest_even() {
    CHECK(to_bf16(1.0f).bits == 0x3f80);
    CHECK(to_bf16(bits_float(0x3f808000)).bits == 0x3f80);
    CHECK(to_bf16(bits_float(0x3f818000)).bits == 0x3f82);
    CHECK(to_bf16(bits_float(0x3f808001)).bits == 0x3f81);
    CHECK(to_bf16(-INFINITY).bits == 0xff80);
    CHECK(to_bf16(bits_float(0x7f7fffff)).bits == 0x7f80);
    CHECK(to_bf16(bits_float(0x7f800001)).bits == 0x7fff);
    CHECK(pack_bf16(1.0f, -2.0f) == 0xc0003f80u);
    CHECK(half_to_float(0x3c00) == 1.0f && half_to_float(0xc100) == -2.5f);
    CHECK(half_to_float(0x0001) == 0x1p-24f && half_to_float(0x8000) == 0.0f && std::signbit(half_to_float(0x8000)));
    CHECK(half_to_float(0x7bff) == 65504.0f && half_to_float(0xfc00) == -INFINITY && std::isnan(half_to_float(0x7e00)));
}

/* ---- 16-byte accesses and cp.async */

enum class Access { LOAD, STORE, COPY_FROM, COPY_TO, COPY_OUTSIDE, LDMATRIX };

__global__ void misalign(Access access, unsigned char *memory) {
    auto *shared = shared_memory<unsigned char>();
    uint32_t matrices[4];
    switch (access) {
    case Access::LOAD:
        memory[0] = static_cast<unsigned char>(load16(memory + 4).word[0]);
        break;
    case Access::STORE:
        store16(memory + 8, Words{});
        break;
    case Access::COPY_FROM:
        cp_async16(shared, memory + 8, true);
        break;
    case Access::COPY_TO:
        cp_async16(shared + 8, memory, true);
        break;
    case Access::COPY_OUTSIDE:
        cp_async16(shared + 64, memory, true);
        break;
    case Access::LDMATRIX:
        ldmatrix_x4(matrices, shared + 2);
        break;
    }
}

void misaligned_accesses_are_reported() {
    alignas(16) unsigned char memory[64] = {};
    const struct {
        Access access;
        const char *text;
    } cases[] = {{Access::LOAD, "load16 of"},       {Access::STORE, "store16 of"},          {Access::COPY_FROM, "cp_async16 from"},
                 {Access::COPY_TO, "cp_async16 to"}, {Access::COPY_OUTSIDE, "outside the block's shared memory"},
                 {Access::LDMATRIX, "ldmatrix_x4 of"}};
    for (const auto &c : cases) {
        fresh();
        CHECK(launch("misalign", misalign, dim3(1), dim3(32), 64, nullptr, c.access, memory) == GRAFT_CUDA_ERROR);
        CHECK_CONTAINS(graft_last_error(), c.text);
        CHECK_CONTAINS(violation(), "misalign, block (0, 0, 0), thread (");
    }
}

__global__ void copy_two_groups(const float *from, float *to, bool wait) {
    auto *shared = shared_memory<float>();
    const unsigned i = 4 * threadIdx.x;
    cp_async16(shared + i, from + i, true);
    cp_async_commit();
    cp_async16(shared + 128 + i, from + 128 + i, threadIdx.x % 2 == 0);
    cp_async_commit();
    if (wait) {
        cp_async_wait<1>();
    }
    for (unsigned j = 0; j < 4; j++) {
        to[i + j] = shared[i + j];
        to[256 + i + j] = shared[128 + i + j];
    }
    cp_async_wait<0>();
    for (unsigned j = 0; j < 4; j++) {
        to[128 + i + j] = shared[128 + i + j];
    }
}

void copies_arrive_when_waited_for() {
    fresh();
    alignas(16) float from[256];
    for (int i = 0; i < 256; i++) {
        from[i] = static_cast<float>(i);
    }
    std::vector<float> to(384);
    CHECK(launch("copy", copy_two_groups, dim3(1), dim3(32), 1024, nullptr, from, to.data(), true) == GRAFT_OK);
    for (int i = 0; i < 128; i++) {
        CHECK(to[i] == from[i]);
        CHECK(to[128 + i] == (i / 4 % 2 == 0 ? from[128 + i] : 0));
        CHECK(std::isnan(to[256 + i]));
    }
    CHECK(launch("copy", copy_two_groups, dim3(1), dim3(32), 1024, nullptr, from, to.data(), false) == GRAFT_OK);
    CHECK(std::isnan(to[0]) && std::isnan(to[127]) && to[128] == from[128]);
}

/* ---- shared memory */

__global__ void read_shared(float *out, int offset, bool write) {
    auto *shared = shared_memory<float>();
    if (write) {
        shared[offset] = 1;
    } else {
        out[threadIdx.x] = shared[offset];
    }
}

void shared_memory_is_poisoned_and_guarded() {
    fresh();
    float out = 0;
    CHECK(launch("read", read_shared, dim3(1), dim3(1), 64, nullptr, &out, 15, false) == GRAFT_OK);
    CHECK(std::isnan(out));
    out = 0;
    CHECK(launch("read", read_shared, dim3(1), dim3(1), 64, nullptr, &out, 16, false) == GRAFT_OK);
    CHECK(std::isnan(out));
    CHECK(launch("write", read_shared, dim3(1), dim3(1), 64, nullptr, &out, 16, true) == GRAFT_CUDA_ERROR);
    CHECK_CONTAINS(graft_last_error(), "outside its 64 bytes of shared memory");
}

/* ---- what it costs */

__global__ void ten_barriers(float *out) {
    auto *shared = shared_memory<float>();
    float value = static_cast<float>(threadIdx.x);
    for (int i = 0; i < 5; i++) {
        shared[threadIdx.x] = value;
        __syncthreads();
        value += shared[threadIdx.x ^ 1];
        __syncthreads();
    }
    out[threadIdx.x] = value;
}

void time_of_a_launch() {
    fresh();
    std::vector<float> out(256);
    constexpr int launches = 500;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < launches; i++) {
        CHECK(launch("ten", ten_barriers, dim3(1), dim3(256), 1024, nullptr, out.data()) == GRAFT_OK);
    }
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
    std::printf("  256 threads, 10 barriers: %.1f us\n", time.count() / launches);
}

} // namespace

int main() {
    RUN(every_thread_runs_once);
    RUN(empty_grids_do_nothing);
    RUN(impossible_launches_are_refused);
    RUN(barriers_hold_the_block_together);
    RUN(missing_barrier_shows_in_the_order);
    RUN(missing_warp_barrier_shows_in_the_order);
    RUN(divergence_is_reported);
    RUN(shuffles_and_votes);
    RUN(tensor_cores_multiply);
    RUN(conversions_round_to_nearest_even);
    RUN(misaligned_accesses_are_reported);
    RUN(copies_arrive_when_waited_for);
    RUN(shared_memory_is_poisoned_and_guarded);
    RUN(time_of_a_launch);
    return test::result();
}
