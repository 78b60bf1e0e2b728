package dev.graft.cuda.driver;

import org.jspecify.annotations.Nullable;

/** A range of device memory. */
public final class DeviceMemory implements OnDevice {
    private final DeviceHeap heap;
    private final DeviceHeap.Chunk chunk;
    private final long address;
    private final long byteSize;
    private boolean open = true;

    DeviceMemory(DeviceHeap heap, DeviceHeap.Chunk chunk, long address, long byteSize) {
        this.heap = heap;
        this.chunk = chunk;
        this.address = address;
        this.byteSize = byteSize;
    }

    /** Where it starts in the device's address space. */
    public long address() {
        if (!open || !heap.isOpen()) {
            throw new IllegalStateException("this device memory was freed");
        }
        return address;
    }

    @Override
    public DeviceMemory range() {
        return this;
    }

    /** The allocation of the driver's that it is a part of. */
    DeviceHeap.Chunk chunk() {
        return chunk;
    }

    boolean belongsTo(@Nullable DeviceHeap other) {
        return heap == other;
    }

    @Override
    public long byteSize() {
        return byteSize;
    }

    @Override
    public void close() {
        if (open) {
            open = false;
            heap.free(chunk, address, byteSize);
        }
    }
}
