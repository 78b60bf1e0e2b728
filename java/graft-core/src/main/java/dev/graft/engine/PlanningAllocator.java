package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;

/** Counts what would be allocated. Its tensors have shapes and no memory: an engine refuses them. */
public final class PlanningAllocator implements Allocator {
    private final BufferLayout layout;
    private final MemoryPlan.Builder plan = new MemoryPlan.Builder();

    /** @param layout of the engine that is planned for */
    public PlanningAllocator(BufferLayout layout) {
        this.layout = layout;
    }

    @Override
    public Tensor tensor(MemoryKind kind, String name, DType dtype, int rows, int cols) {
        return Tensor.of(planned(kind, name, layout.bytes(dtype, rows, cols)), 0, dtype, rows, cols);
    }

    @Override
    public Tensor bordered(MemoryKind kind, String name, DType dtype, int rows, int cols) {
        return layout.bordered(planned(kind, name, layout.borderedBytes(dtype, rows, cols)), dtype, rows, cols);
    }

    private Memory planned(MemoryKind kind, String name, long bytes) {
        plan.add(kind, name, bytes);
        return new PlannedMemory(bytes);
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
