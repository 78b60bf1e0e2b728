#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>

#include "control.h"
#include "patterns.h"
#include "state.h"
#include "text.h"

namespace graft::emulator {

namespace {

constexpr size_t ALIGNMENT = 256;
constexpr size_t GRANULARITY = 512;              /* what the device gives at least */
constexpr size_t MOST_POISONED = size_t{16} << 20; /* of one allocation, at either end */
constexpr size_t MOST_KEPT = size_t{64} << 20;     /* freed bytes that are watched */

struct Allocation {
    unsigned char *memory; /* with what surrounds the data */
    size_t bytes;          /* of the data */

    unsigned char *data() const { return memory + GUARD_BYTES; }
    size_t reserved() const { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }
    size_t tail() const { return reserved() - bytes + GUARD_BYTES; }
};

struct Protection {
    size_t bytes;
    uint64_t checksum;
    bool mapped; /* by the driver */
};

struct Memory {
    std::mutex mutex;
    std::map<uintptr_t, Allocation> live;
    std::map<uintptr_t, size_t> pinned;
    std::map<uintptr_t, Protection> protections;
    std::deque<Allocation> freed;
    size_t freed_bytes = 0, used = 0, live_bytes = 0, pinned_bytes = 0;
};

Memory &memory = *new Memory;

uintptr_t number(const void *address) {
    return reinterpret_cast<uintptr_t>(address);
}

/* The parts of an allocation that are filled: all of it, or both ends of a large one. */
template <class Fill>
void fill_ends(unsigned char *data, size_t bytes, Fill fill_part) {
    if (bytes <= MOST_POISONED) {
        fill_part(data, bytes);
    } else {
        const size_t part = MOST_POISONED / 2;
        fill_part(data, part);
        fill_part(data + bytes - part, part);
    }
}

/* Whether what surrounds an allocation is whole; mends it. */
bool check_surroundings(const Allocation &a, const char *state, std::string &text) {
    const size_t before = first_difference(a.memory, GUARD_BYTES, GUARD_PATTERN);
    const size_t after = first_difference(a.data() + a.bytes, a.tail(), GUARD_PATTERN);
    if (before == GUARD_BYTES && after == a.tail()) {
        return true;
    }
    if (before < GUARD_BYTES) {
        append(text, "written %zu bytes before the start of %s of %zu bytes at %p", GUARD_BYTES - before, state, a.bytes,
               static_cast<void *>(a.data()));
    } else {
        append(text, "written %zu bytes past the end of %s of %zu bytes at %p", after, state, a.bytes, static_cast<void *>(a.data()));
    }
    fill(a.memory, GUARD_BYTES, GUARD_PATTERN);
    fill(a.data() + a.bytes, a.tail(), GUARD_PATTERN);
    return false;
}

/* Whether freed memory is as it was left; mends it. */
bool check_freed(const Allocation &a, std::string &text) {
    bool whole = check_surroundings(a, "freed memory", text);
    fill_ends(a.data(), a.bytes, [&](unsigned char *part, size_t bytes) {
        const size_t at = first_difference(part, bytes, FREED_PATTERN);
        if (at < bytes) {
            if (whole) {
                append(text, "written after it was freed: byte %zu of %zu at %p", static_cast<size_t>(part - a.data()) + at, a.bytes,
                       static_cast<void *>(a.data()));
            }
            whole = false;
            fill(part, bytes, FREED_PATTERN);
        }
    });
    return whole;
}

bool check_protection(uintptr_t address, Protection &p, std::string &text) {
    const uint64_t now = checksum(reinterpret_cast<const unsigned char *>(address), p.bytes);
    if (now == p.checksum) {
        return true;
    }
    append(text, "%zu bytes at 0x%zx, which are protected, have changed", p.bytes, static_cast<size_t>(address));
    p.checksum = now;
    return false;
}

/* The live allocation that holds an address, or end(). */
std::map<uintptr_t, Allocation>::iterator holder(uintptr_t address) {
    auto next = memory.live.upper_bound(address);
    if (next == memory.live.begin()) {
        return memory.live.end();
    }
    const auto found = std::prev(next);
    return address < found->first + found->second.bytes || address == found->first ? found : memory.live.end();
}

/* Frees the oldest until few enough are kept. */
void forget_freed(size_t most) {
    while (memory.freed_bytes > most) {
        const Allocation oldest = memory.freed.front();
        memory.freed.pop_front();
        memory.freed_bytes -= oldest.reserved() + 1;
        std::string text;
        if (!check_freed(oldest, text)) {
            violation("%s", text.c_str());
        }
        std::free(oldest.memory);
    }
}

void release_locked(std::map<uintptr_t, Allocation>::iterator found) {
    const Allocation a = found->second;
    std::string text;
    if (!check_surroundings(a, "memory", text)) {
        violation("%s", text.c_str());
    }
    for (auto p = memory.protections.lower_bound(found->first);
         p != memory.protections.end() && p->first < found->first + a.bytes;) {
        text.clear();
        if (!check_protection(p->first, p->second, text)) {
            violation("%s", text.c_str());
        }
        p = memory.protections.erase(p);
    }
    memory.live.erase(found);
    memory.live_bytes -= a.bytes;
    memory.used -= (a.bytes + GRANULARITY - 1) / GRANULARITY * GRANULARITY;
    if (a.bytes > MOST_KEPT / 2) {
        std::free(a.memory);
        return;
    }
    fill_ends(a.data(), a.bytes, [](unsigned char *part, size_t bytes) { fill(part, bytes, FREED_PATTERN); });
    memory.freed.push_back(a);
    memory.freed_bytes += a.reserved() + 1;
    forget_freed(MOST_KEPT);
}

/* Where an address that no allocation holds lies, for an error. */
void describe(uintptr_t address, std::string &text) {
    auto next = memory.live.upper_bound(address);
    if (next != memory.live.begin()) {
        const auto before = std::prev(next);
        const size_t distance = address - (before->first + before->second.bytes);
        if (distance < 65536) {
            append(text, "0x%zx lies %zu bytes past the end of %zu bytes at 0x%zx", static_cast<size_t>(address), distance,
                   before->second.bytes, static_cast<size_t>(before->first));
            return;
        }
    }
    for (const Allocation &a : memory.freed) {
        if (address >= number(a.data()) && address < number(a.data()) + a.bytes) {
            append(text, "0x%zx lies in freed memory: %zu bytes at %p", static_cast<size_t>(address), a.bytes,
                   static_cast<void *>(a.data()));
            return;
        }
    }
    append(text, "0x%zx is no device memory", static_cast<size_t>(address));
}

} // namespace

void *allocate(size_t bytes) {
    std::lock_guard lock(memory.mutex);
    const size_t charged = (bytes + GRANULARITY - 1) / GRANULARITY * GRANULARITY;
    if (charged < bytes || charged > settings.device_bytes || memory.used > settings.device_bytes - charged) {
        return nullptr;
    }
    Allocation a{nullptr, bytes};
    void *raw;
    if (posix_memalign(&raw, ALIGNMENT, a.reserved() + 2 * GUARD_BYTES) != 0) {
        return nullptr;
    }
    a.memory = static_cast<unsigned char *>(raw);
    fill(a.memory, GUARD_BYTES, GUARD_PATTERN);
    fill(a.data() + bytes, a.tail(), GUARD_PATTERN);
    fill_ends(a.data(), bytes, [](unsigned char *part, size_t count) { std::memset(part, POISON, count); });
    memory.live.emplace(number(a.data()), a);
    memory.used += charged;
    memory.live_bytes += bytes;
    return a.data();
}

int release(void *address) {
    std::lock_guard lock(memory.mutex);
    const auto found = memory.live.find(number(address));
    if (found == memory.live.end()) {
        std::string text = "freed what is not the start of live memory: ";
        describe(number(address), text);
        violation("%s", text.c_str());
        return INVALID_VALUE;
    }
    release_locked(found);
    return SUCCESS;
}

void *allocate_pinned(size_t bytes) {
    std::lock_guard lock(memory.mutex);
    void *data;
    if (posix_memalign(&data, 4096, bytes) != 0) {
        return nullptr;
    }
    fill_ends(static_cast<unsigned char *>(data), bytes, [](unsigned char *part, size_t count) { std::memset(part, POISON, count); });
    memory.pinned.emplace(number(data), bytes);
    memory.pinned_bytes += bytes;
    return data;
}

int release_pinned(void *address) {
    std::lock_guard lock(memory.mutex);
    const auto found = memory.pinned.find(number(address));
    if (found == memory.pinned.end()) {
        violation("freed pinned memory that is none: %p", address);
        return INVALID_VALUE;
    }
    memory.pinned_bytes -= found->second;
    memory.pinned.erase(found);
    std::free(address);
    return SUCCESS;
}

bool is_pinned(const void *address) {
    std::lock_guard lock(memory.mutex);
    return memory.pinned.count(number(address)) != 0;
}

size_t bytes_in_use() {
    std::lock_guard lock(memory.mutex);
    return memory.used;
}

bool find_allocation(const void *address, void **start, size_t *bytes) {
    std::lock_guard lock(memory.mutex);
    const auto found = holder(number(address));
    if (found == memory.live.end()) {
        return false;
    }
    *start = found->second.data();
    *bytes = found->second.bytes;
    return true;
}

bool check_range(const void *address, size_t bytes, bool written, std::string &text) {
    if (bytes == 0) {
        return true;
    }
    const uintptr_t start = number(address);
    std::lock_guard lock(memory.mutex);
    size_t left;
    if (const auto found = holder(start); found != memory.live.end()) {
        left = found->first + found->second.bytes - start;
    } else {
        const auto next = memory.pinned.upper_bound(start);
        if (next == memory.pinned.begin() || start >= std::prev(next)->first + std::prev(next)->second) {
            describe(start, text);
            return false;
        }
        left = std::prev(next)->first + std::prev(next)->second - start;
    }
    if (bytes > left) {
        append(text, "%zu bytes at %p, where only %zu are left of the allocation", bytes, address, left);
        return false;
    }
    if (!written || memory.protections.empty()) {
        return true;
    }
    auto p = memory.protections.lower_bound(start + bytes);
    while (p != memory.protections.begin()) {
        --p;
        if (p->first + p->second.bytes > start) {
            append(text, "%zu bytes at %p overlap %zu protected bytes at 0x%zx", bytes, address, p->second.bytes,
                   static_cast<size_t>(p->first));
            return false;
        }
    }
    return true;
}

bool verify_memory(bool freed, std::string &text) {
    std::lock_guard lock(memory.mutex);
    bool whole = true;
    const auto found = [&](bool right, const std::string &what) {
        if (!right && whole) {
            text = what;
        }
        whole = whole && right;
    };
    for (const auto &[address, allocation] : memory.live) {
        std::string what;
        found(check_surroundings(allocation, "memory", what), what);
    }
    if (freed) {
        for (const Allocation &allocation : memory.freed) {
            std::string what;
            found(check_freed(allocation, what), what);
        }
    }
    for (auto &[address, protection] : memory.protections) {
        std::string what;
        found(check_protection(address, protection, what), what);
    }
    return whole;
}

bool verify_operation(std::string &text) {
    if (!settings.verify) {
        std::lock_guard lock(memory.mutex);
        if (std::none_of(memory.protections.begin(), memory.protections.end(), [](const auto &p) { return p.second.mapped; })) {
            return true;
        }
    }
    return verify_memory(false, text);
}

int map_read_only(uint64_t address, size_t bytes) {
    const int result = graft_emulator_protect(address, static_cast<int64_t>(bytes));
    std::lock_guard lock(memory.mutex);
    if (result == SUCCESS) {
        memory.protections[address].mapped = true;
    }
    return result;
}

void release_all() {
    std::lock_guard lock(memory.mutex);
    while (!memory.live.empty()) {
        release_locked(memory.live.begin());
    }
    for (const auto &[address, bytes] : memory.pinned) {
        std::free(reinterpret_cast<void *>(address));
    }
    memory.pinned.clear();
    memory.pinned_bytes = 0;
}

void reset_memory() {
    std::lock_guard lock(memory.mutex);
    memory.protections.clear();
    for (const Allocation &a : memory.freed) {
        std::free(a.memory);
    }
    memory.freed.clear();
    memory.freed_bytes = 0;
}

} // namespace graft::emulator

/* ---- control.h, the part about memory */

using namespace graft::emulator;

int64_t graft_emulator_live_bytes(void) {
    std::lock_guard lock(memory.mutex);
    return static_cast<int64_t>(memory.live_bytes);
}

int64_t graft_emulator_live_allocations(void) {
    std::lock_guard lock(memory.mutex);
    return static_cast<int64_t>(memory.live.size());
}

int64_t graft_emulator_live_pinned_bytes(void) {
    std::lock_guard lock(memory.mutex);
    return static_cast<int64_t>(memory.pinned_bytes);
}

int32_t graft_emulator_protect(uint64_t address, int64_t bytes) {
    std::lock_guard lock(memory.mutex);
    const auto found = holder(address);
    if (bytes < 0 || found == memory.live.end() || static_cast<size_t>(bytes) > found->first + found->second.bytes - address) {
        return INVALID_VALUE;
    }
    const auto size = static_cast<size_t>(bytes);
    memory.protections[address] = {size, checksum(reinterpret_cast<const unsigned char *>(address), size), false};
    return SUCCESS;
}

int32_t graft_emulator_unprotect(uint64_t address) {
    std::lock_guard lock(memory.mutex);
    return memory.protections.erase(address) == 1 ? SUCCESS : INVALID_VALUE;
}

int32_t graft_emulator_check(void) {
    std::string text;
    if (verify_memory(true, text)) {
        return SUCCESS;
    }
    violation("%s", text.c_str());
    return INVALID_VALUE;
}
