#include "late.h"

#include <deque>
#include <map>
#include <mutex>

namespace graft::emulator {

namespace {

struct Queue {
    uint64_t done = 0;
    std::deque<Launch> waiting;
};

struct Queues {
    std::mutex mutex;
    std::map<const void *, Queue> of_stream;
};

Queues &queues = *new Queues;

} // namespace

void put_off(const Launch &launch) {
    Launch kept = launch;
    kept.closure = launch.copy(launch.closure);
    std::lock_guard lock(queues.mutex);
    queues.of_stream[launch.stream].waiting.push_back(kept);
}

uint64_t put_off_so_far(const void *stream) {
    std::lock_guard lock(queues.mutex);
    const auto found = queues.of_stream.find(stream);
    return found == queues.of_stream.end() ? 0 : found->second.done + found->second.waiting.size();
}

void catch_up(const void *stream, uint64_t count) {
    for (;;) {
        Launch next;
        {
            std::lock_guard lock(queues.mutex);
            const auto found = queues.of_stream.find(stream);
            if (found == queues.of_stream.end() || found->second.waiting.empty() || found->second.done >= count) {
                return;
            }
            next = found->second.waiting.front();
            found->second.waiting.pop_front();
            found->second.done++;
        }
        do_launch(next); /* a failure is the context's error by now */
        next.destroy(next.closure);
    }
}

} // namespace graft::emulator
