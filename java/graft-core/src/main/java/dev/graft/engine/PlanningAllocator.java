package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;

/** Counts what would be allocated. Its tensors have shapes and no memory: an engine refuses them. */
public final class PlanningAllocator implements Allocator {
    private final MemoryPlan.Builder plan = new MemoryPlan.Builder();

    @Override
    public Tensor tensor(MemoryKind kind, String name, DType dtype, int rows, int cols) {
        long bytes = Workspace.alignedBytes(dtype, rows, cols);
        plan.add(kind, name, bytes);
        return Tensor.of(new PlannedMemory(bytes), 0, dtype, rows, cols);
    }

    /** All that was asked for so far. */
    public MemoryPlan plan() {
        return plan.build();
    }

    private record PlannedMemory(long byteSize) implements Memory {
        @Override
        public void close() {}
    }
}
