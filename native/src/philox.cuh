/*
 * Dropout masks from Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), as
 * dev.graft.engine.Dropout defines them: element e is kept where word e % 4 at the counter (e / 4, step, stream, 4), less its low
 * 8 bits, is at least ceil(p 2^24). Drawn wherever it is needed, never stored, the same bits as on the CPU.
 */
#pragma once

#include "device.cuh"

namespace graft {

struct Dropout {
    uint32_t key0, key1;
    uint32_t step, stream;
    uint32_t threshold; /* 0: no dropout */

    Dropout() = default;

    Dropout(int64_t seed, int32_t step, int32_t stream, int32_t threshold)
        : key0(static_cast<uint32_t>(seed)), key1(static_cast<uint32_t>(static_cast<uint64_t>(seed) >> 32)),
          step(static_cast<uint32_t>(step)), stream(static_cast<uint32_t>(stream)), threshold(static_cast<uint32_t>(threshold)) {}

    explicit Dropout(const graft_lora_term &term)
        : Dropout(term.dropout_seed, term.dropout_step, term.dropout_stream, term.dropout_threshold) {}

    bool operator==(const Dropout &other) const {
        return threshold == other.threshold && (threshold == 0 || (key0 == other.key0 && key1 == other.key1 && step == other.step &&
                                                                   stream == other.stream));
    }
};

/* The four words at (position, step, stream, 4). */
__device__ __forceinline__ void philox(uint32_t (&word)[4], const Dropout &dropout, uint32_t position) {
    constexpr uint32_t purpose = 4; // RandomPurpose.DROPOUT
    word[0] = position;
    word[1] = dropout.step;
    word[2] = dropout.stream;
    word[3] = purpose;
    uint32_t key0 = dropout.key0;
    uint32_t key1 = dropout.key1;
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = static_cast<uint64_t>(0xD2511F53u) * word[0];
        const uint64_t product1 = static_cast<uint64_t>(0xCD9E8D57u) * word[2];
        word[0] = static_cast<uint32_t>(product1 >> 32) ^ word[1] ^ key0;
        word[2] = static_cast<uint32_t>(product0 >> 32) ^ word[3] ^ key1;
        word[1] = static_cast<uint32_t>(product1);
        word[3] = static_cast<uint32_t>(product0);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/* Bit i: whether element first + i is kept, i < 8. These lie in two draws or, where the first one starts inside a draw, in three. */
__device__ __forceinline__ uint32_t kept_of_8(const Dropout &dropout, int64_t first) {
    const int skipped = static_cast<int>(first & 3);
    const int draws = skipped == 0 ? 2 : 3;
    uint32_t kept = 0;
    for (int draw = 0; draw < draws; draw++) {
        uint32_t word[4];
        philox(word, dropout, static_cast<uint32_t>(first / 4) + draw);
        for (int i = 0; i < 4; i++) {
            kept |= static_cast<uint32_t>(word[i] >> 8 >= dropout.threshold) << (4 * draw + i);
        }
    }
    return kept >> skipped;
}

/* Whether one element is kept. */
__device__ __forceinline__ bool is_kept(const Dropout &dropout, int64_t element) {
    uint32_t word[4];
    philox(word, dropout, static_cast<uint32_t>(element / 4));
    const int i = static_cast<int>(element & 3);
    const uint32_t drawn = i == 0 ? word[0] : i == 1 ? word[1] : i == 2 ? word[2] : word[3];
    return drawn >> 8 >= dropout.threshold;
}

} // namespace graft
