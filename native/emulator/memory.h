/* Device memory on the heap, looked after: what is alive, what surrounds it, what was freed, what must not change. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine.h"

namespace graft::emulator {

/* Null where the device is full. */
void *allocate(size_t bytes);

/* A CUresult; what was written around the allocation is reported as a violation. */
int release(void *address);

void *allocate_pinned(size_t bytes);
int release_pinned(void *address);
bool is_pinned(const void *address);

size_t bytes_in_use();

/* The whole allocation that holds an address; false where none does. */
bool find_allocation(const void *address, void **start, size_t *bytes);

/* Whether these bytes lie in one live allocation (of device or pinned memory), and are not protected where they are to be written.
 * Otherwise `text` says what is wrong. Zero bytes are always right. */
GRAFT_EMULATOR_API bool check_range(const void *address, size_t bytes, bool written, std::string &text);

/* Whether nothing was written that should not be: around allocations, in protected ranges and, if asked for, in freed memory. Otherwise
 * `text` says what. What was found is put right, so as to be found once. */
GRAFT_EMULATOR_API bool verify_memory(bool freed, std::string &text);

/* The same after an operation that wrote, where it is to be verified: by the settings, or because memory is mapped read-only. */
GRAFT_EMULATOR_API bool verify_operation(std::string &text);

/* Declares live memory read-only as graft_emulator_protect does, so that operations are verified. */
int map_read_only(uint64_t address, size_t bytes);

/* Frees all that is alive, as the end of a context does. */
void release_all();

/* Lifts all protections and forgets what was freed. */
void reset_memory();

} // namespace graft::emulator
