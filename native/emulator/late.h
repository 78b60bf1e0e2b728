/* Launches on side streams that were put off: see control.h, graft_emulator_set_late. */
#pragma once

#include <cstdint>

#include "engine.h"

namespace graft::emulator {

/* Keeps a launch for later. */
void put_off(const Launch &launch);

/* How many launches of the stream have been put off so far, those done since included. */
uint64_t put_off_so_far(const void *stream);

/* Does those of the stream that are still to be done, in order, up to the first `count`. A failure is the context's error. */
void catch_up(const void *stream, uint64_t count = UINT64_MAX);

} // namespace graft::emulator
