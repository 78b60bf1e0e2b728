#include "fiber.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#if (!defined(__x86_64__) && !defined(__aarch64__)) || defined(GRAFT_EMULATE_UCONTEXT)
#define UCONTEXT
#include <ucontext.h>
#endif

namespace graft::emulator {

namespace {

constexpr size_t STACKS = 1024; /* a block's most threads */
/* Not a multiple of 4096: else the tops of all stacks would fall into the same sets of the cache. */
constexpr size_t STACK_BYTES = 64 * 1024 + 5 * 64;
constexpr uint64_t CANARY = 0x5ca1ab1e0ddba11u;

} // namespace

/* ---- switching: the callee-saved registers go on the stack, the rest is the compiler's business. It ends in a jump, not in a return:
 * the processor would predict a return to where the call came from, wrongly. */

#if defined(__x86_64__) && !defined(UCONTEXT)

extern "C" void graft_emulator_switch_stack(void **from, void *to) __attribute__((visibility("hidden")));

asm(R"(
.text
.globl graft_emulator_switch_stack
.hidden graft_emulator_switch_stack
.type graft_emulator_switch_stack, @function
.align 16
graft_emulator_switch_stack:
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rax
    jmp *%rax
.size graft_emulator_switch_stack, .-graft_emulator_switch_stack
)");

void switch_stack(void **from, void *to) {
    graft_emulator_switch_stack(from, to);
}

static void *prepare(unsigned char *top, void (*main)()) {
    /* Six registers, the address that the jump goes to, and a null return address for main; its stack is then aligned as after a call. */
    auto *words = reinterpret_cast<void **>(reinterpret_cast<uintptr_t>(top) & ~static_cast<uintptr_t>(15)) - 8;
    std::memset(words, 0, 8 * sizeof *words);
    std::memcpy(&words[6], &main, sizeof main);
    return words;
}

#elif defined(__aarch64__) && !defined(UCONTEXT)

extern "C" void graft_emulator_switch_stack(void **from, void *to) __attribute__((visibility("hidden")));

asm(R"(
.text
.globl graft_emulator_switch_stack
.hidden graft_emulator_switch_stack
.type graft_emulator_switch_stack, %function
.align 4
graft_emulator_switch_stack:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    br x30
.size graft_emulator_switch_stack, .-graft_emulator_switch_stack
)");

void switch_stack(void **from, void *to) {
    graft_emulator_switch_stack(from, to);
}

static void *prepare(unsigned char *top, void (*main)()) {
    auto *words = reinterpret_cast<void **>(reinterpret_cast<uintptr_t>(top) & ~static_cast<uintptr_t>(15)) - 20;
    std::memset(words, 0, 20 * sizeof *words);
    std::memcpy(&words[11], &main, sizeof main); /* x30 */
    return words;
}

#else

/* A stack pointer is the address of a context that lies at the top of the stack, or in the frame of switch_stack. */
void switch_stack(void **from, void *to) {
    ucontext_t here;
    *from = &here;
    swapcontext(&here, static_cast<ucontext_t *>(to));
}

static void *prepare(unsigned char *top, void (*main)()) {
    const uintptr_t place = (reinterpret_cast<uintptr_t>(top) - sizeof(ucontext_t)) & ~static_cast<uintptr_t>(63);
    auto *context = reinterpret_cast<ucontext_t *>(place);
    getcontext(context);
    constexpr size_t room = STACK_BYTES - sizeof(ucontext_t) - 256;
    context->uc_stack.ss_sp = reinterpret_cast<void *>(place - room);
    context->uc_stack.ss_size = room;
    context->uc_link = nullptr;
    makecontext(context, main, 0);
    return context;
}

#endif

/* ---- the pool */

Stacks::Stacks(void (*main)()) : main_(main) {
    void *memory = mmap(nullptr, STACKS * STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        std::fputs("graft emulator: no memory for the stacks of a block\n", stderr);
        std::abort();
    }
    memory_ = static_cast<unsigned char *>(memory);
    free_.reserve(STACKS);
}

Stacks::~Stacks() {
    munmap(memory_, STACKS * STACK_BYTES);
}

unsigned char *Stacks::bottom(size_t index) const {
    return memory_ + index * STACK_BYTES;
}

void *Stacks::take() {
    size_t index;
    if (free_.empty()) {
        index = used_++;
        std::memcpy(bottom(index), &CANARY, sizeof CANARY);
    } else {
        index = free_.back();
        free_.pop_back();
    }
    return prepare(bottom(index) + STACK_BYTES, main_);
}

void Stacks::give_back(void *address) {
    const size_t index = static_cast<size_t>(static_cast<unsigned char *>(address) - memory_) / STACK_BYTES;
    check(index);
    free_.push_back(static_cast<uint16_t>(index));
}

void Stacks::give_back_all() {
    free_.clear();
    for (size_t i = used_; i-- > 0;) {
        check(i);
        free_.push_back(static_cast<uint16_t>(i));
    }
}

void Stacks::check(size_t index) {
    overflowed_ = overflowed_ || std::memcmp(bottom(index), &CANARY, sizeof CANARY) != 0;
}

bool Stacks::take_overflow() {
    const bool overflowed = overflowed_;
    if (overflowed) {
        for (size_t i = 0; i < used_; i++) {
            std::memcpy(bottom(i), &CANARY, sizeof CANARY);
        }
    }
    overflowed_ = false;
    return overflowed;
}

} // namespace graft::emulator
