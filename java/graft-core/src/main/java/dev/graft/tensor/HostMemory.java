package dev.graft.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Memory that the CPU addresses directly. Frozen weights are read-only segments: no code can write them.
 *
 * @param segment the bytes
 * @param onClose what frees them, run at most once by the owner; a no-op for borrowed memory such as a mapped file
 */
public record HostMemory(MemorySegment segment, Runnable onClose) implements Memory {
    /** Memory that somebody else frees. */
    public static HostMemory borrowed(MemorySegment segment) {
        return new HostMemory(segment, () -> {});
    }

    @Override
    public long byteSize() {
        return segment.byteSize();
    }

    @Override
    public void close() {
        onClose.run();
    }
}
