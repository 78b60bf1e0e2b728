/* A thread's cp.async copies that it has not waited for. */
#pragma once

#include <cstdint>
#include <vector>

namespace graft::emulator {

struct Copies {
    struct Copy {
        void *shared;
        const void *global;
        bool valid;
        uint32_t group;
    };

    std::vector<Copy> copies;
    size_t first = 0;       /* those before it are done */
    uint32_t committed = 0; /* groups */

    void clear() {
        if (committed != 0 || !copies.empty()) {
            copies.clear();
            first = 0;
            committed = 0;
        }
    }
};

} // namespace graft::emulator
