/* Stacks and switches between them, without system calls. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace graft::emulator {

/* Stores where this stack stands and goes on with the other one. */
void switch_stack(void **from, void *to);

/* Reusable stacks on each of which `main` can be started; it must never return. One thread of the operating system at a time. */
class Stacks {
  public:
    explicit Stacks(void (*main)());
    ~Stacks();
    Stacks(const Stacks &) = delete;
    Stacks &operator=(const Stacks &) = delete;

    /* A stack pointer that switch_stack starts main with. */
    void *take();

    /* Gives the stack back that holds this stack pointer (or any address in it). What runs on it may go on until it switches away. */
    void give_back(void *address);

    /* Gives all stacks back: what ran on them is abandoned. */
    void give_back_all();

    /* Whether a stack that was given back since the last call had overflowed. */
    bool take_overflow();

  private:
    unsigned char *bottom(size_t index) const;
    void check(size_t index);

    void (*main_)();
    unsigned char *memory_;
    std::vector<uint16_t> free_;
    size_t used_ = 0; /* stacks that were ever taken: the first ones */
    bool overflowed_ = false;
};

} // namespace graft::emulator
