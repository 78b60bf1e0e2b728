package dev.graft.model;

import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryKind;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What a bottleneck module keeps from its forward for its backward pass; T rows. The GELU's output is computed again.
 *
 * @param output h, what the block gave [T, d]
 * @param hidden D h + b [T, size]; backward overwrites it with its gradient
 */
record BottleneckBuffers(Tensor output, Tensor hidden) {

    static BottleneckBuffers allocate(
            Allocator allocator, String module, int rows, int hiddenSize, int size, DType compute) {
        return new BottleneckBuffers(
                allocator.tensor(MemoryKind.ACTIVATIONS, module + " h", compute, rows, hiddenSize),
                allocator.tensor(MemoryKind.ACTIVATIONS, module + " bottleneck", compute, rows, size));
    }

    /**
     * What the modules of all layers use within a call; T rows.
     *
     * @param exact h before it is rounded to the compute dtype, F32 [T, d]; null where that is F32
     * @param sum h and the module's output together, F32 [T, d]; null likewise
     * @param activated the GELU's output [T, size]
     * @param activatedGradient its gradient; null for inference
     */
    record Shared(
            @Nullable Tensor exact,
            @Nullable Tensor sum,
            Tensor activated,
            @Nullable Tensor activatedGradient) {

        static Shared allocate(
                Allocator allocator, int rows, int hiddenSize, int size, DType compute, boolean training) {
            MemoryKind kind = MemoryKind.WORKSPACE;
            boolean rounds = compute != DType.F32;
            return new Shared(
                    rounds ? allocator.tensor(kind, "block output", DType.F32, rows, hiddenSize) : null,
                    rounds ? allocator.tensor(kind, "adapted block output", DType.F32, rows, hiddenSize) : null,
                    allocator.tensor(kind, "gelu", compute, rows, size),
                    training ? allocator.tensor(kind, "d gelu", compute, rows, size) : null);
        }
    }
}
