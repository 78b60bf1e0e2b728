/* A thread's wgmma that it has not waited for. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace graft::emulator {

/* The most columns of one product, and the numbers that a thread holds of it. */
constexpr int MAX_PRODUCT_COLUMNS = 128;
constexpr int MAX_PRODUCT_SUMS = MAX_PRODUCT_COLUMNS / 2;

struct Products {
    /* The registers that products in flight sum up in. They hold NaNs until the last of those was waited for. */
    struct Sums {
        float *registers;
        int count;
        int in_flight;
        float value[MAX_PRODUCT_SUMS];
    };

    struct Product {
        float *registers;
        int columns;
        bool accumulate;
        bool transposed;
        const uint32_t *a; /* null: a_tile */
        uint32_t a_before[4];
        uint64_t a_tile, b;
        uint32_t group;
    };

    /* Registers that a wgmma.fence named, as they were then. */
    struct Fenced {
        const unsigned char *registers;
        std::vector<unsigned char> value;
    };

    std::vector<Sums> sums;
    std::vector<Product> products;
    uint32_t committed = 0; /* groups */
    std::vector<Fenced> fenced; /* since the last wait */

    bool is_clear() const { return products.empty(); }

    void clear() {
        sums.clear();
        products.clear();
        committed = 0;
        fenced.clear();
    }

    Sums &of(const float *registers) {
        size_t i = 0;
        while (sums[i].registers != registers) {
            i++;
        }
        return sums[i];
    }
};

} // namespace graft::emulator
