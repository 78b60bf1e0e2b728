/* Attention on Hopper's tensor cores (attention_hopper.cu). */
#pragma once

#include "attention.cuh"

namespace graft {

/* Whether `a` asks for it and it can be: heads of at most 128 columns, in rows that are read in 16-byte packs. */
inline bool is_for_hopper(const graft_attention &a, const ForwardOperands<bf16> &operands) {
    return a.tensor_cores == GRAFT_WGMMA && a.head_dim <= 128 && operands.q.packed && operands.k.packed && operands.v.packed;
}

inline bool is_for_hopper(const graft_attention &a, const BackwardOperands<bf16> &operands) {
    return a.tensor_cores == GRAFT_WGMMA && a.head_dim <= 128 && operands.q.packed && operands.k.packed && operands.v.packed &&
           operands.d_o.packed;
}

/* As attention_forward.cu and attention_backward.cu compute it; delta is there already. */
int32_t launch_forward_hopper(void *stream, const graft_attention &a, const ForwardOperands<bf16> &operands);
int32_t launch_backward_hopper(void *stream, const graft_attention &a, const BackwardOperands<bf16> &operands);

} // namespace graft
