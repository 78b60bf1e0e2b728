package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Real buffers from one engine, freed together. Filled while a run is set up; nothing is allocated in a step. */
public final class Workspace implements Allocator, AutoCloseable {
    private final Engine engine;
    private final BufferLayout layout;
    private final List<Memory> owned = new ArrayList<>();

    public Workspace(Engine engine) {
        this.engine = engine;
        this.layout = engine.bufferLayout();
    }

    @Override
    public Tensor tensor(MemoryKind kind, String name, DType dtype, int rows, int cols) {
        return Tensor.of(allocate(layout.bytes(dtype, rows, cols)), 0, dtype, rows, cols);
    }

    @Override
    public Tensor bordered(MemoryKind kind, String name, DType dtype, int rows, int cols) {
        return layout.bordered(allocate(layout.borderedBytes(dtype, rows, cols)), dtype, rows, cols);
    }

    private Memory allocate(long bytes) {
        Memory memory = engine.allocate(bytes);
        owned.add(memory);
        return memory;
    }

    @Override
    public void close() {
        owned.forEach(Memory::close);
        owned.clear();
    }
}
