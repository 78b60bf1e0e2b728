package dev.graft.cuda.driver;

import dev.graft.engine.EngineFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Device memory, taken from the driver in large chunks and divided up first fit. A chunk goes back when nothing of it is in use.
 * All work is in one stream, so a range that was freed may be given out again at once.
 */
class DeviceHeap implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(DeviceHeap.class);

    /** What CUDA itself promises for an allocation. */
    static final int ALIGNMENT = 256;

    /** One allocation of the driver's, and the ranges of it that are free: start to size. */
    static final class Chunk {
        private final long address;
        private final long byteSize;
        private final TreeMap<Long, Long> free = new TreeMap<>();

        private Chunk(long address, long byteSize) {
            this.address = address;
            this.byteSize = byteSize;
            free.put(address, byteSize);
        }

        /** The start of a range that is now in use, or 0 where none is large enough. */
        private long take(long bytes) {
            for (Map.Entry<Long, Long> range : free.entrySet()) {
                if (range.getValue() >= bytes) {
                    long start = range.getKey();
                    long rest = range.getValue() - bytes;
                    free.remove(start);
                    if (rest > 0) {
                        free.put(start + bytes, rest);
                    }
                    return start;
                }
            }
            return 0;
        }

        private void giveBack(long start, long bytes) {
            Map.Entry<Long, Long> before = free.lowerEntry(start);
            if (before != null && before.getKey() + before.getValue() == start) {
                free.remove(before.getKey());
                start = before.getKey();
                bytes += before.getValue();
            }
            Long after = free.remove(start + bytes);
            free.put(start, after == null ? bytes : bytes + after);
        }

        private boolean isUnused() {
            return free.size() == 1 && free.firstEntry().getValue() == byteSize;
        }
    }

    private final long chunkBytes;
    private final long granularity;
    private final List<Chunk> chunks = new ArrayList<>();
    private long liveBytes;
    private boolean open = true;

    /** @param chunkBytes the least size of a chunk; 0 for a chunk of its own for every range */
    DeviceHeap(long chunkBytes) {
        this(chunkBytes, ALIGNMENT);
    }

    /** @param granularity what the sizes of chunks are multiples of */
    DeviceHeap(long chunkBytes, long granularity) {
        this.chunkBytes = chunkBytes;
        this.granularity = granularity;
    }

    /** A chunk of the driver's, or 0 where there is not enough. */
    long takeChunk(long bytes) {
        return Jcuda.allocate(bytes);
    }

    /** Gives a chunk back. */
    void giveBackChunk(long address) {
        Jcuda.free(address);
    }

    /** Bytes given out and not yet freed. */
    long liveBytes() {
        return liveBytes;
    }

    /**
     * A range of at least {@code bytes}; its contents are whatever was there.
     *
     * @throws OutOfDeviceMemory where the device has less
     */
    DeviceMemory allocate(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("cannot allocate " + bytes + " bytes");
        }
        long size = rounded(bytes, ALIGNMENT);
        for (Chunk chunk : chunks) {
            long start = chunk.take(size);
            if (start != 0) {
                return given(chunk, start, size);
            }
        }
        Chunk chunk = newChunk(Math.max(size, chunkBytes), size);
        return given(chunk, chunk.take(size), size);
    }

    /** Takes one chunk for all that will be allocated next, together {@code bytes}. */
    void reserve(long bytes) {
        if (chunkBytes > 0 && bytes > 0) {
            long size = rounded(bytes, ALIGNMENT);
            newChunk(size, size);
        }
    }

    private DeviceMemory given(Chunk chunk, long start, long size) {
        liveBytes += size;
        return new DeviceMemory(this, chunk, start, size);
    }

    private Chunk newChunk(long preferred, long least) {
        long size = rounded(preferred, granularity);
        long address = takeChunk(size);
        if (address == 0 && least < preferred) {
            size = rounded(least, granularity);
            address = takeChunk(size);
        }
        if (address == 0) {
            throw new OutOfDeviceMemory(least, Jcuda.freeBytes());
        }
        Chunk chunk = new Chunk(address, size);
        chunks.add(chunk);
        return chunk;
    }

    boolean isOpen() {
        return open;
    }

    void free(Chunk chunk, long start, long bytes) {
        if (!open) {
            return;
        }
        liveBytes -= bytes;
        chunk.giveBack(start, bytes);
        if (chunk.isUnused() && chunks.remove(chunk)) {
            release(chunk);
        }
    }

    /** After a kernel failed the driver refuses even that; the memory goes with the context then, and nobody need know. */
    private void release(Chunk chunk) {
        try {
            giveBackChunk(chunk.address);
        } catch (EngineFailure e) {
            log.debug("while freeing {} bytes: {}", chunk.byteSize, e.getMessage());
        }
    }

    private static long rounded(long bytes, long multiple) {
        return Math.max(multiple, Math.ceilDiv(bytes, multiple) * multiple);
    }

    /** Frees everything, also what is still in use. */
    @Override
    public void close() {
        if (open) {
            open = false;
            liveBytes = 0;
            chunks.forEach(this::release);
            chunks.clear();
        }
    }
}
