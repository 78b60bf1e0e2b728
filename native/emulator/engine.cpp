/* Runs grids: which thread of a block goes on, on which stack, and what is wrong where none can. */
#include "engine.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "copies.h"
#include "driver.h"
#include "fiber.h"
#include "late.h"
#include "memory.h"
#include "patterns.h"
#include "products.h"
#include "state.h"
#include "text.h"

namespace graft::emulator {

__thread Thread *current = nullptr;

namespace {

constexpr unsigned MAX_THREADS = 1024;
constexpr unsigned MAX_WARPS = MAX_THREADS / 32;
constexpr unsigned MAX_WARPGROUPS = MAX_WARPS / 4;
constexpr size_t SHARED_ALIGNMENT = 128;

thread_local std::string last_launch_error;

/* What runs one block after another: everything that a block needs, used again for the next one. */
struct Worker {
    Worker();

    bool run(const Launch &launch, const dim3 &index);
    void prepare(const Launch &launch);
    void resume_first();

    Stacks stacks;
    std::unique_ptr<Thread[]> threads{new Thread[MAX_THREADS]()};
    std::unique_ptr<Copies[]> copies{new Copies[MAX_THREADS]()};
    std::unique_ptr<Products[]> products{new Products[MAX_THREADS]()};
    std::unique_ptr<Warp[]> warps{new Warp[MAX_WARPS]()};
    std::vector<std::pair<uint64_t, uint64_t>> started[MAX_WARPGROUPS]; /* the descriptors of each warpgroup's wgmma */
    Block block{};
    const Launch *launch = nullptr;
    bool descending = false;
    unsigned thread_count = 0, warp_count = 0;
    unsigned remaining = 0;     /* threads that have not ended */
    uint32_t ready_warps = 0;   /* have a lane that can run */
    unsigned block_waiting = 0; /* threads in __syncthreads */
    const char *block_file = nullptr;
    int block_line = 0;
    void *main_stack = nullptr;
    bool failed = false;
    std::string failure;
    std::vector<unsigned char> shared;
    std::vector<Writer> writers;
};

/* The worker of this thread of the operating system while it runs a launch. */
__thread Worker *worker __attribute__((tls_model("initial-exec"))) = nullptr;

unsigned first_of(uint32_t mask, bool descending) {
    return descending ? 31u - static_cast<unsigned>(__builtin_clz(mask)) : static_cast<unsigned>(__builtin_ctz(mask));
}

/* The next thread to run: of this warp where it has one, else of the first warp that has; null where none can. */
Thread *next_thread(Worker &w, Warp *warp) {
    if (warp->ready == 0) {
        w.ready_warps &= ~(1u << warp->index);
        if (w.ready_warps == 0) {
            return nullptr;
        }
        warp = &w.warps[first_of(w.ready_warps, w.descending)];
    }
    return &w.threads[static_cast<unsigned>(warp->index) * 32 + first_of(warp->ready, w.descending)];
}

/* Makes the thread the current one; the stack to go on with. */
void *enter(Worker &w, Thread *thread) {
    current = thread;
    const uint32_t bit = 1u << thread->lane;
    if ((thread->warp->started & bit) != 0) {
        return thread->stack_pointer;
    }
    thread->warp->started |= bit;
    return w.stacks.take();
}

/* "3 threads, the first of them (0, 0, 0)," of those that the masks hold. */
bool append_threads(std::string &text, Worker &w, uint32_t (*mask)(const Warp &), const char *separator) {
    unsigned count = 0;
    const Thread *first = nullptr;
    for (unsigned i = 0; i < w.thread_count; i++) {
        const Thread &thread = w.threads[i];
        if ((mask(*thread.warp) >> thread.lane & 1) != 0) {
            count++;
            first = first == nullptr ? &thread : first;
        }
    }
    if (count > 0) {
        append(text, "%s%u thread%s (the first is (%u, %u, %u))", separator, count, count == 1 ? "" : "s", first->index.x, first->index.y,
               first->index.z);
    }
    return count > 0;
}

/* No thread can run and not all have ended. */
[[noreturn]] void report_deadlock(Worker &w) {
    std::string text = "divergence: ";
    const char *separator = "";
    if (append_threads(text, w, [](const Warp &warp) { return warp.lanes & ~(warp.waiting | warp.ended); }, separator)) {
        append(text, " wait in __syncthreads (%s:%d)", w.block_file, w.block_line);
        separator = ", ";
    }
    for (unsigned i = 0; i < w.warp_count; i++) {
        const Warp &warp = w.warps[i];
        if (warp.waiting != 0) {
            append(text, "%slanes 0x%08x of warp %u wait in %s (%s:%d)", separator, warp.waiting, i, warp.what, warp.file, warp.line);
            separator = ", ";
            break;
        }
    }
    if (append_threads(text, w, [](const Warp &warp) { return warp.ended; }, separator)) {
        text += " have returned";
    }
    abort_launch("%s", text.c_str());
}

/* Switches from the current thread, which waits, to the next one. */
void yield(Worker &w, Warp *warp) {
    Thread *self = current;
    Thread *next = next_thread(w, warp);
    if (next == self) {
        return;
    }
    if (next == nullptr) {
        report_deadlock(w);
    }
    switch_stack(&self->stack_pointer, enter(w, next));
}

/* The life of a stack: threads that have not started, one after another, for as long as they are next. */
void run_threads() {
    Worker &w = *worker;
    for (;;) {
        w.launch->body(w.launch->closure);
        Thread *self = current;
        Warp *warp = self->warp;
        const uint32_t bit = 1u << self->lane;
        self->copies->clear();
        if (!self->products->is_clear()) {
            abort_launch("returned while a wgmma was in flight");
        }
        self->products->clear();
        warp->ready &= ~bit;
        warp->ended |= bit;
        void *here = nullptr;
        if (--w.remaining == 0) {
            w.stacks.give_back(&here);
            switch_stack(&here, w.main_stack);
        }
        Thread *next = next_thread(w, warp);
        if (next == nullptr) {
            report_deadlock(w);
        }
        if ((next->warp->started >> next->lane & 1) == 0) {
            next->warp->started |= 1u << next->lane;
            current = next;
            continue;
        }
        w.stacks.give_back(&here);
        switch_stack(&here, enter(w, next));
    }
}

Worker::Worker() : stacks(run_threads) {
    for (unsigned i = 0; i < MAX_THREADS; i++) {
        threads[i].lane = static_cast<int>(i % 32);
        threads[i].warp = &warps[i / 32];
        threads[i].block = &block;
        threads[i].copies = &copies[i];
        threads[i].products = &products[i];
    }
    for (unsigned i = 0; i < MAX_WARPS; i++) {
        warps[i].index = static_cast<int>(i);
    }
}

/* What is the same for all blocks of a launch. */
void Worker::prepare(const Launch &launched) {
    launch = &launched;
    descending = settings.descending != 0;
    failed = false;
    failure.clear();
    block.size = launched.block;
    block.grid = launched.grid;
    thread_count = launched.block.x * launched.block.y * launched.block.z;
    warp_count = (thread_count + 31) / 32;
    unsigned i = 0;
    for (unsigned z = 0; z < launched.block.z; z++) {
        for (unsigned y = 0; y < launched.block.y; y++) {
            for (unsigned x = 0; x < launched.block.x; x++) {
                threads[i++].index = {x, y, z};
            }
        }
    }
    const size_t needed = launched.shared_bytes + 2 * GUARD_BYTES + SHARED_ALIGNMENT;
    if (shared.size() < needed) {
        shared.resize(needed);
    }
    const uintptr_t start = reinterpret_cast<uintptr_t>(shared.data()) + GUARD_BYTES;
    block.shared = reinterpret_cast<unsigned char *>((start + SHARED_ALIGNMENT - 1) & ~(SHARED_ALIGNMENT - 1));
    block.shared_bytes = launched.shared_bytes;
    writers.resize(launched.shared_bytes / 16 + 1);
    block.writers = writers.data();
    fill(block.shared - GUARD_BYTES, GUARD_BYTES, GUARD_PATTERN);
    fill(block.shared + block.shared_bytes, GUARD_BYTES, GUARD_PATTERN);
}

bool is_guard(const unsigned char *bytes) {
    return first_difference(bytes, GUARD_BYTES, GUARD_PATTERN) == GUARD_BYTES;
}

/* Runs one block; false where it failed. */
bool Worker::run(const Launch &launched, const dim3 &index) {
    block.index = index;
    std::memset(block.shared, POISON, block.shared_bytes);
    std::fill(writers.begin(), writers.end(), Writer{});
    for (auto &descriptors : started) {
        descriptors.clear();
    }
    for (unsigned i = 0; i < warp_count; i++) {
        const unsigned lanes = thread_count - i * 32;
        Warp &warp = warps[i];
        warp.lanes = lanes >= 32 ? 0xffffffffu : (1u << lanes) - 1;
        warp.ready = warp.lanes;
        warp.started = warp.waiting = warp.ended = 0;
        warp.products = 0;
    }
    ready_warps = warp_count == 32 ? 0xffffffffu : (1u << warp_count) - 1;
    remaining = thread_count;
    block_waiting = 0;
    Warp *first = &warps[first_of(ready_warps, descending)];
    switch_stack(&main_stack, enter(*this, next_thread(*this, first)));
    for (unsigned i = 0; i < warp_count && !failed; i++) {
        if (warps[i].products != warps[i / 4 * 4].products) {
            failed = true;
            append(failure, "%s, block (%u, %u, %u): divergence: warp %u started %u wgmma, the first of its warpgroup %u", launched.operation,
                   index.x, index.y, index.z, i, warps[i].products, warps[i / 4 * 4].products);
        }
    }
    if (!failed && !(is_guard(block.shared - GUARD_BYTES) && is_guard(block.shared + block.shared_bytes))) {
        failed = true;
        append(failure, "%s, block (%u, %u, %u): wrote outside its %zu bytes of shared memory", launched.operation, index.x, index.y,
               index.z, block.shared_bytes);
    }
    return !failed;
}

/* Workers that no launch uses at the moment. Never destroyed, like the other global state: launches may go on while a process exits. */
struct Pool {
    std::mutex mutex;
    std::vector<std::unique_ptr<Worker>> idle;

    std::unique_ptr<Worker> take() {
        std::lock_guard lock(mutex);
        if (idle.empty()) {
            return std::make_unique<Worker>();
        }
        std::unique_ptr<Worker> taken = std::move(idle.back());
        idle.pop_back();
        return taken;
    }

    void give_back(std::unique_ptr<Worker> used) {
        std::lock_guard lock(mutex);
        idle.push_back(std::move(used));
    }
};

Pool &pool = *new Pool;

/* Runs blocks until there are none or one has failed; its text is then in `failure`. */
void run_blocks(const Launch &launch, std::atomic<uint64_t> &next, std::atomic<bool> &failed, std::string &failure, std::mutex &mutex) {
    std::unique_ptr<Worker> mine = pool.take();
    Worker *outer = worker;
    worker = mine.get();
    mine->prepare(launch);
    const uint64_t plane = static_cast<uint64_t>(launch.grid.x) * launch.grid.y;
    const uint64_t count = plane * launch.grid.z;
    while (!failed) {
        const uint64_t i = next++;
        if (i >= count) {
            break;
        }
        const uint64_t b = mine->descending ? count - 1 - i : i;
        const dim3 index(static_cast<unsigned>(b % launch.grid.x), static_cast<unsigned>(b % plane / launch.grid.x),
                         static_cast<unsigned>(b / plane));
        if (!mine->run(launch, index)) {
            std::lock_guard lock(mutex);
            if (!failed.exchange(true)) {
                failure = mine->failure;
            }
        }
    }
    if (mine->failed) {
        mine->stacks.give_back_all();
    }
    if (mine->stacks.take_overflow()) {
        std::lock_guard lock(mutex);
        if (!failed.exchange(true)) {
            failure = std::string(launch.operation) + ": a thread used more stack than the emulator has";
        }
    }
    worker = outer;
    current = nullptr;
    pool.give_back(std::move(mine));
}

/* Null where the shape of the launch is one that a GPU would take. */
const char *wrong_shape(const Launch &launch) {
    const dim3 &b = launch.block;
    if (b.x == 0 || b.y == 0 || b.z == 0 || b.z > 64 || static_cast<uint64_t>(b.x) * b.y * b.z > MAX_THREADS) {
        return "a block has 1 to 1024 threads, at most 64 in z";
    }
    if (launch.grid.x > 0x7fffffffu || launch.grid.y > 65535 || launch.grid.z > 65535) {
        return "a grid has at most 2^31 - 1 blocks in x and 65535 in y and z";
    }
    return launch.shared_bytes > settings.shared_bytes ? "too much shared memory" : nullptr;
}

int reject(int result, const Launch &launch, const char *text) {
    last_launch_error.clear();
    append(last_launch_error, "%s (%s); grid (%u, %u, %u), block (%u, %u, %u), %zu bytes of shared memory", result_name(result), text,
           launch.grid.x, launch.grid.y, launch.grid.z, launch.block.x, launch.block.y, launch.block.z, launch.shared_bytes);
    return result;
}

} // namespace

void abort_launch(const char *format, ...) {
    char text[768];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    Worker &w = *worker;
    const Thread &t = *current;
    w.failed = true;
    w.failure.clear();
    append(w.failure, "%s, block (%u, %u, %u), thread (%u, %u, %u): ", w.launch->operation, w.block.index.x, w.block.index.y,
           w.block.index.z, t.index.x, t.index.y, t.index.z);
    w.failure += text;
    for (unsigned i = 0; i < w.thread_count; i++) {
        w.copies[i].clear();
        w.products[i].clear();
    }
    void *here = nullptr;
    switch_stack(&here, w.main_stack);
    __builtin_unreachable();
}

void wait_for_block(const char *file, int line) {
    Worker &w = *worker;
    Thread *self = current;
    if (w.block_waiting == 0) {
        w.block_file = file;
        w.block_line = line;
    } else if (w.block_line != line) {
        abort_launch("divergence: waits in __syncthreads at %s:%d while others wait at %s:%d", file, line, w.block_file, w.block_line);
    }
    self->warp->ready &= ~(1u << self->lane);
    if (++w.block_waiting < w.thread_count) {
        yield(w, self->warp);
        return;
    }
    w.block_waiting = 0;
    for (unsigned i = 0; i < w.warp_count; i++) {
        w.warps[i].ready = w.warps[i].lanes;
    }
    w.ready_warps = w.warp_count == 32 ? 0xffffffffu : (1u << w.warp_count) - 1;
    yield(w, &w.warps[first_of(w.ready_warps, w.descending)]);
}

void wait_for_warp(const char *what, void (*complete)(Warp &), const char *file, int line) {
    Worker &w = *worker;
    Warp *warp = current->warp;
    if (warp->waiting == 0) {
        if (warp->lanes != 0xffffffffu) {
            abort_launch("%s (%s:%d) in a warp of fewer than 32 threads: the block's size is no multiple of 32", what, file, line);
        }
        warp->what = what;
        warp->file = file;
        warp->line = line;
    } else if (warp->line != line || (warp->what != what && std::strcmp(warp->what, what) != 0)) {
        abort_launch("divergence: waits in %s (%s:%d) while lanes 0x%08x of its warp wait in %s (%s:%d)", what, file, line, warp->waiting,
                     warp->what, warp->file, warp->line);
    }
    const uint32_t bit = 1u << current->lane;
    warp->waiting |= bit;
    warp->ready &= ~bit;
    if (warp->waiting == 0xffffffffu) {
        complete(*warp);
        warp->waiting = 0;
        warp->ready = 0xffffffffu;
    }
    yield(w, warp);
}

void agree_in_warpgroup(uint64_t a_tile, uint64_t b) {
    Warp &warp = *current->warp;
    auto &descriptors = worker->started[warp.index / 4];
    const std::pair<uint64_t, uint64_t> mine(a_tile, b);
    const size_t number = warp.products++;
    if (number == descriptors.size()) {
        descriptors.push_back(mine);
    } else if (descriptors[number] != mine) {
        abort_launch("divergence: wgmma with the descriptors 0x%016llx and 0x%016llx while another warp of its warpgroup has 0x%016llx and "
                     "0x%016llx",
                     static_cast<unsigned long long>(a_tile), static_cast<unsigned long long>(b),
                     static_cast<unsigned long long>(descriptors[number].first),
                     static_cast<unsigned long long>(descriptors[number].second));
    }
}

int run_launch(const Launch &launch) {
    if (const char *wrong = wrong_shape(launch)) {
        return reject(INVALID_VALUE, launch, wrong);
    }
    if (!is_stream(launch.stream)) {
        return reject(INVALID_HANDLE, launch, "no such stream");
    }
    bool done;
    if (const int result = begin(LAUNCH, &done); result != SUCCESS || done) {
        return result == SUCCESS ? SUCCESS : reject(result, launch, result_text(result));
    }
    if (settings.late && is_side_stream(launch.stream)) {
        put_off(launch);
        return SUCCESS;
    }
    return do_launch(launch);
}

int do_launch(const Launch &launch) {
    std::atomic<uint64_t> next{0};
    std::atomic<bool> failed{false};
    std::string failure;
    std::mutex mutex;
    const uint64_t blocks = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
    std::vector<std::thread> helpers;
    for (int i = 1; i < settings.workers && static_cast<uint64_t>(i) < blocks; i++) {
        helpers.emplace_back([&] { run_blocks(launch, next, failed, failure, mutex); });
    }
    run_blocks(launch, next, failed, failure, mutex);
    for (std::thread &helper : helpers) {
        helper.join();
    }
    if (!failed && !verify_operation(failure)) {
        failed = true;
        failure = std::string(launch.operation) + ": " + failure;
    }
    if (!failed) {
        return SUCCESS;
    }
    violation("%s", failure.c_str());
    last_launch_error = failure;
    return fail_on_device(LAUNCH_FAILED);
}

const char *launch_error() {
    return last_launch_error.c_str();
}

int emulated_multiprocessors() {
    return settings.multiprocessors;
}

} // namespace graft::emulator
