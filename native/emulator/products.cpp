/*
 * wgmma, as late as a GPU may do it: a product is computed when its group is waited for, from what shared memory and registers hold then;
 * until then its sums are NaNs. Found besides: registers that no wgmma.fence named or that were written behind it, registers of A that changed
 * in flight, shared memory written by cp.async and not fenced for the asynchronous proxy, warps of a warpgroup that disagree. Not found:
 * the same of shared memory that was written by plain stores.
 */
#include "products.h"

#include <algorithm>
#include <cstring>

#include "engine.h"
#include "fragments.h"

namespace graft::emulator {

namespace {

constexpr uint32_t SHARED_BASE = 1024 + 128; /* where a block's shared memory starts: what CUDA promises, not more */
constexpr uint64_t SWIZZLE_128 = 1;

/* The fields of a matrix descriptor, in bytes. */
struct Descriptor {
    uint32_t start, leading, stride;

    explicit Descriptor(uint64_t bits)
        : start(bits << 4 & 0x3fff0), leading(bits >> 16 << 4 & 0x3fff0), stride(bits >> 32 << 4 & 0x3fff0) {
        if (bits >> 62 != SWIZZLE_128 || (bits >> 49 & 7) != 0) {
            abort_launch("wgmma with the descriptor 0x%016llx: only swizzling by 128 bytes without a base offset is emulated",
                         static_cast<unsigned long long>(bits));
        }
    }
};

/* The element at this address of the unswizzled matrix. */
float element(uint32_t address) {
    address ^= address >> 3 & 0x70;
    const Block &block = *current->block;
    const uint32_t offset = address - SHARED_BASE;
    if (offset + 2 > block.shared_bytes) {
        abort_launch("wgmma of shared memory at %u, which is outside the block's %zu bytes", offset, block.shared_bytes);
    }
    const Writer &writer = block.writers[offset / 16];
    if (writer.thread != nullptr && writer.epoch == writer.thread->proxy_epoch) {
        abort_launch("wgmma of shared memory at %u that thread (%u, %u, %u) wrote by cp.async without a fence.proxy.async behind it", offset,
                     writer.thread->index.x, writer.thread->index.y, writer.thread->index.z);
    }
    uint16_t bits;
    std::memcpy(&bits, block.shared + offset, sizeof bits);
    return from_bf16(bits);
}

/* [row][k] of a matrix with k contiguous: groups of eight rows, `stride` apart, of 128 bytes each. */
float k_major(const Descriptor &d, int row, int k) {
    return element(d.start + row / 8 * d.stride + row % 8 * 128 + 2 * k);
}

/* [row][k] of a matrix with rows contiguous: 64 of them, the next `leading` apart; groups of eight k, `stride` apart, of 128 bytes each. */
float row_major(const Descriptor &d, int row, int k) {
    return element(d.start + row / 64 * d.leading + row % 64 * 2 + k / 8 * d.stride + k % 8 * 128);
}

/* A warp's sixteen rows of one product: sums [16, columns] += a [16, 16] b [16, columns]. `lanes`: its threads. */
void compute(Thread *lanes, size_t index) {
    const Products::Product &first = lanes[0].products->products[index];
    float a[16][16]; /* [row][k] */
    if (first.a == nullptr) {
        const Descriptor d(first.a_tile);
        const int warp_row = lanes[0].warp->index % 4 * 16;
        for (int row = 0; row < 16; row++) {
            for (int k = 0; k < 16; k++) {
                a[row][k] = k_major(d, warp_row + row, k);
            }
        }
    } else {
        for (int lane = 0; lane < 32; lane++) {
            const Products::Product &product = lanes[lane].products->products[index];
            if (std::memcmp(product.a, product.a_before, sizeof product.a_before) != 0) {
                abort_launch("wgmma whose registers of A changed while it was in flight");
            }
            place_left(a, lane, product.a);
        }
    }
    float b[16][MAX_PRODUCT_COLUMNS]; /* [k][column] */
    const Descriptor d(first.b);
    for (int k = 0; k < 16; k++) {
        for (int column = 0; column < first.columns; column++) {
            b[k][column] = first.transposed ? row_major(d, column, k) : k_major(d, column, k);
        }
    }
    float sums[16][MAX_PRODUCT_COLUMNS] = {};
    for (int row = 0; row < 16; row++) {
        for (int k = 0; k < 16; k++) {
            for (int column = 0; column < first.columns; column++) {
                sums[row][column] += a[row][k] * b[k][column];
            }
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        Products &products = *lanes[lane].products;
        const Products::Product &product = products.products[index];
        Products::Sums &held = products.of(product.registers);
        for (int i = 0; i < product.columns / 2; i++) {
            const float sum = sums[lane / 4 + i / 2 % 2 * 8][i / 4 * 8 + lane % 4 * 2 + i % 2];
            held.value[i] = product.accumulate ? held.value[i] + sum : sum;
        }
        held.in_flight--;
    }
}

/* What the last lane does: the warp's products that were waited for. */
void complete_products(Warp &warp) {
    Thread *lanes = current - current->lane;
    const Products &leader = *lanes[0].products;
    for (int lane = 0; lane < 32; lane++) {
        const Products &products = *lanes[lane].products;
        if (products.products.size() != leader.products.size() || products.committed != leader.committed ||
            warp.value[lane] != warp.value[0]) {
            abort_launch("divergence: wgmma of lanes of one warp differ");
        }
    }
    size_t done = 0;
    while (done < leader.products.size() && leader.products[done].group + warp.value[0] < leader.committed) {
        compute(lanes, done++);
    }
    for (int lane = 0; lane < 32; lane++) {
        Products &products = *lanes[lane].products;
        products.products.erase(products.products.begin(), products.products.begin() + static_cast<std::ptrdiff_t>(done));
        const auto complete = [](const Products::Sums &sums) {
            if (sums.in_flight == 0) {
                std::memcpy(sums.registers, sums.value, static_cast<size_t>(sums.count) * sizeof(float));
            }
            return sums.in_flight == 0;
        };
        products.sums.erase(std::remove_if(products.sums.begin(), products.sums.end(), complete), products.sums.end());
        products.fenced.clear();
    }
}

/* Ends the launch where the latest fence did not name these registers, or they were written since. */
void check_fenced(const Products &products, const void *registers, size_t bytes, const char *what) {
    const auto *start = static_cast<const unsigned char *>(registers);
    for (const Products::Fenced &fenced : products.fenced) {
        const std::ptrdiff_t offset = start - fenced.registers;
        if (offset >= 0 && static_cast<size_t>(offset) + bytes <= fenced.value.size()) {
            if (std::memcmp(start, fenced.value.data() + offset, bytes) != 0) {
                abort_launch("wgmma whose registers of %s were written behind the wgmma.fence", what);
            }
            return;
        }
    }
    abort_launch("wgmma without a wgmma.fence of the registers of %s since the last wait", what);
}

} // namespace

uint32_t shared_address(const void *shared) {
    return SHARED_BASE + static_cast<uint32_t>(static_cast<const unsigned char *>(shared) - current->block->shared);
}

void fence_async_proxy() {
    current->proxy_epoch++;
}

void fence_products() {
    current->products->fenced.clear();
}

void fence_registers(const void *registers, size_t bytes) {
    const auto *start = static_cast<const unsigned char *>(registers);
    current->products->fenced.push_back({start, {start, start + bytes}});
}

void start_product(float *registers, int columns, bool accumulate, const uint32_t *a, uint64_t a_tile, uint64_t b, bool transposed) {
    Thread *self = current;
    Products &products = *self->products;
    if (self->warp->lanes != 0xffffffffu || self->block->size.x % 128 != 0) {
        abort_launch("wgmma in a block whose size is no multiple of 128");
    }
    if (self->lane == 0) {
        agree_in_warpgroup(a_tile, b);
    }
    auto held = std::find_if(products.sums.begin(), products.sums.end(),
                             [&](const Products::Sums &sums) { return sums.registers == registers; });
    if (a != nullptr) {
        check_fenced(products, a, 4 * sizeof *a, "A");
    }
    if (held == products.sums.end()) {
        check_fenced(products, registers, static_cast<size_t>(columns / 2) * sizeof(float), "the sums");
        Products::Sums sums{registers, columns / 2, 0, {}};
        const size_t bytes = static_cast<size_t>(sums.count) * sizeof(float);
        std::memcpy(sums.value, registers, bytes);
        std::memset(registers, 0xff, bytes);
        products.sums.push_back(sums);
        held = products.sums.end() - 1;
    }
    held->in_flight++;
    Products::Product product{registers, columns, accumulate, transposed, a, {}, a_tile, b, products.committed};
    if (a != nullptr) {
        std::memcpy(product.a_before, a, sizeof product.a_before);
    }
    products.products.push_back(product);
}

void commit_products() {
    current->products->committed++;
}

void wait_for_products(unsigned pending_groups, const char *file, int line) {
    Thread *self = current;
    self->warp->value[self->lane] = pending_groups;
    wait_for_warp("wgmma_wait", complete_products, file, line);
}

} // namespace graft::emulator
