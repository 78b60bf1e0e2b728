package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;

/**
 * Where the buffers of a run come from. The same construction code runs twice: over a {@link PlanningAllocator}, which only
 * counts, and over a {@link Workspace}, which allocates. So the plan that is printed and the memory that is used cannot differ.
 */
public interface Allocator {
    /** A zeroed matrix of {@code rows × cols}, its first element on a boundary of {@link BufferLayout#alignment}. */
    Tensor tensor(MemoryKind kind, String name, DType dtype, int rows, int cols);

    /** As {@link #tensor}, for what enters or leaves a linear layer: with the engine's {@link BufferLayout#border}, if it has one. */
    Tensor bordered(MemoryKind kind, String name, DType dtype, int rows, int cols);
}
