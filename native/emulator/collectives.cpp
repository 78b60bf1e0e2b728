/* What the last lane to arrive does for its warp, and cp.async. */
#include <cstring>

#include "copies.h"
#include "engine.h"
#include "fragments.h"

namespace graft::emulator {

namespace {

/* The eight columns of a product, as one vector of the CPU. */
typedef float Columns __attribute__((vector_size(32)));

bool is_aligned(const void *address) {
    return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

/* Whether 16 bytes there are the current block's shared memory. */
bool is_shared(const void *address) {
    const Block &block = *current->block;
    const auto *bytes = static_cast<const unsigned char *>(address);
    return block.shared_bytes >= 16 && bytes >= block.shared && bytes <= block.shared + block.shared_bytes - 16;
}

void check_shared(const void *address, const char *what) {
    if (!is_aligned(address)) {
        abort_launch("misaligned address: %s of %p, which is not on a 16-byte boundary", what, address);
    }
    if (!is_shared(address)) {
        abort_launch("%s of %p, which is outside the block's shared memory of %zu bytes at %p", what, address,
                     current->block->shared_bytes, static_cast<void *>(current->block->shared));
    }
}

/* Row j of matrix i as 8 elements: from lane 8 i + j's address. */
void load_rows(const Warp &warp, uint16_t (&elements)[4][8][8], const char *what) {
    for (int lane = 0; lane < 32; lane++) {
        check_shared(warp.row[lane], what);
        std::memcpy(elements[lane / 8][lane % 8], warp.row[lane], 16);
    }
}

} // namespace

void complete_sync(Warp &) {}

void complete_shuffle(Warp &warp) {
    for (int lane = 0; lane < 32; lane++) {
        warp.result[lane] = warp.value[warp.source[lane] & 31];
    }
}

void complete_ballot(Warp &warp) {
    uint32_t mask = 0;
    for (int lane = 0; lane < 32; lane++) {
        mask |= (warp.value[lane] != 0 ? 1u : 0u) << lane;
    }
    warp.result[0] = mask;
}

void complete_ldmatrix(Warp &warp) {
    uint16_t e[4][8][8];
    load_rows(warp, e, "ldmatrix_x4");
    for (int lane = 0; lane < 32; lane++) {
        for (int i = 0; i < 4; i++) {
            std::memcpy(&warp.matrices[lane][i], &e[i][lane / 4][2 * (lane % 4)], 4);
        }
    }
}

void complete_ldmatrix_transposed(Warp &warp) {
    uint16_t e[4][8][8];
    load_rows(warp, e, "ldmatrix_x4_transposed");
    for (int lane = 0; lane < 32; lane++) {
        const int row = lane / 4;
        const int col = 2 * (lane % 4);
        for (int i = 0; i < 4; i++) {
            warp.matrices[lane][i] = e[i][col][row] | static_cast<uint32_t>(e[i][col + 1][row]) << 16;
        }
    }
}

void complete_mma(Warp &warp) {
    float a[16][16]; /* [row][k] */
    float b[16][8];  /* [k][col] */
    float d[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4;
        const int t = 2 * (lane % 4);
        const auto &p = warp.product[lane];
        place_left(a, lane, p.a);
        for (int half = 0; half < 2; half++) {
            const int shift = 16 * half;
            b[t + half][g] = from_bf16(p.b[0] >> shift & 0xffffu);
            b[t + 8 + half][g] = from_bf16(p.b[1] >> shift & 0xffffu);
            d[g][t + half] = p.d[half];
            d[g + 8][t + half] = p.d[2 + half];
        }
    }
    /* All rows side by side: one row's sums would each wait for the one before. */
    Columns sums[16];
    std::memcpy(sums, d, sizeof sums);
    for (int k = 0; k < 16; k++) {
        Columns factor;
        std::memcpy(&factor, b[k], sizeof factor);
        for (int row = 0; row < 16; row++) {
            sums[row] += a[row][k] * factor;
        }
    }
    std::memcpy(d, sums, sizeof sums);
    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4;
        const int t = 2 * (lane % 4);
        std::memcpy(&warp.product[lane].d[0], &d[g][t], 8);
        std::memcpy(&warp.product[lane].d[2], &d[g + 8][t], 8);
    }
}

void start_copy(void *shared, const void *global, bool valid) {
    check_shared(shared, "cp_async16 to");
    if (valid && !is_aligned(global)) {
        abort_launch("misaligned address: cp_async16 from %p, which is not on a 16-byte boundary", global);
    }
    std::memset(shared, 0xff, 16);
    Copies &c = *current->copies;
    c.copies.push_back({shared, global, valid, c.committed});
}

void commit_copies() {
    current->copies->committed++;
}

void wait_for_copies(unsigned pending_groups) {
    Copies &c = *current->copies;
    while (c.first < c.copies.size() && c.copies[c.first].group + pending_groups < c.committed) {
        const Copies::Copy &copy = c.copies[c.first++];
        if (copy.valid) {
            std::memcpy(copy.shared, copy.global, 16);
        } else {
            std::memset(copy.shared, 0, 16);
        }
        const Block &block = *current->block;
        block.writers[(static_cast<unsigned char *>(copy.shared) - block.shared) / 16] = {current, current->proxy_epoch};
    }
    if (c.first == c.copies.size()) {
        c.copies.clear();
        c.first = 0;
    }
}

} // namespace graft::emulator
