package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Real buffers from one engine, freed together. Filled while a run is set up; nothing is allocated in a step. */
public final class Workspace implements Allocator, AutoCloseable {
    private static final long ALIGNMENT = 64;

    private final Engine engine;
    private final List<Memory> owned = new ArrayList<>();

    public Workspace(Engine engine) {
        this.engine = engine;
    }

    @Override
    public Tensor tensor(MemoryKind kind, String name, DType dtype, int rows, int cols) {
        Memory memory = engine.allocate(alignedBytes(dtype, rows, cols));
        owned.add(memory);
        return Tensor.of(memory, 0, dtype, rows, cols);
    }

    @Override
    public void close() {
        owned.forEach(Memory::close);
        owned.clear();
    }

    static long alignedBytes(DType dtype, int rows, int cols) {
        long bytes = (long) rows * cols * dtype.byteSize();
        return Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    }
}
