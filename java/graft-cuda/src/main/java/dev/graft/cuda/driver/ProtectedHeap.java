package dev.graft.cuda.driver;

import dev.graft.engine.EngineFailure;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Device memory that can be mapped so that the device itself only reads it: a kernel, copy or product that writes there fails. All of
 * it is writable or none, since ranges share mappings: whoever asks for more lifts the protection of all until the next
 * {@link #protect}. Sizes of mappings are multiples of megabytes, so a model's weights share one where they were reserved.
 */
final class ProtectedHeap extends DeviceHeap {
    private static final Logger log = LoggerFactory.getLogger(ProtectedHeap.class);

    private final Jcuda.Context context;
    private final Jcuda.Stream stream;
    private final long granularity;
    private final Map<Long, Jcuda.Mapping> mappings = new HashMap<>();
    private boolean writable = true;

    private ProtectedHeap(Jcuda.Context context, Jcuda.Stream stream, long chunkBytes, long granularity) {
        super(chunkBytes, granularity);
        this.context = context;
        this.stream = stream;
        this.granularity = granularity;
    }

    /** Null, and a warning, where the driver maps no memory so. Whether it then keeps to that only a write would show. */
    static @Nullable ProtectedHeap open(Jcuda.Context context, Jcuda.Stream stream, long chunkBytes) {
        try {
            ProtectedHeap heap = new ProtectedHeap(context, stream, chunkBytes, Jcuda.mappingGranularity(context));
            try (DeviceMemory trial = heap.allocate(1)) {
                heap.protect();
            }
            return heap;
        } catch (EngineFailure refused) {
            log.warn("the driver maps no read-only memory, frozen weights stay writable: {}", refused.getMessage());
            return null;
        }
    }

    /** What the size of each piece of memory taken from the driver is rounded up to. */
    long granularity() {
        return granularity;
    }

    /** A range that may be written until {@link #protect}. */
    @Override
    DeviceMemory allocate(long bytes) {
        if (!writable) {
            allow(true);
        }
        return super.allocate(bytes);
    }

    /** Ends all writing, after what is under way. */
    void protect() {
        if (writable) {
            allow(false);
        }
    }

    private void allow(boolean write) {
        Jcuda.synchronize(stream);
        writable = false; // where this fails midway, some of it
        mappings.values().forEach(mapping -> Jcuda.allow(mapping, context, write));
        writable = write;
    }

    @Override
    long takeChunk(long bytes) {
        Jcuda.Mapping mapping = Jcuda.map(context, bytes);
        if (mapping == null) {
            return 0;
        }
        mappings.put(mapping.address(), mapping);
        return mapping.address();
    }

    /** Unlike an allocation's end, a mapping's does not wait for the work that uses it. */
    @Override
    void giveBackChunk(long address) {
        Jcuda.Mapping mapping = mappings.remove(address);
        try {
            Jcuda.synchronize(stream);
        } finally {
            Jcuda.unmap(mapping);
        }
    }
}
