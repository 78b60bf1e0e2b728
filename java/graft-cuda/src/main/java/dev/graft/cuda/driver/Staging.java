package dev.graft.cuda.driver;

import dev.graft.common.InputException;
import java.lang.foreign.MemorySegment;

/**
 * Pinned buffers between host and device, used in turn: while the device copies out of one, the host fills the next. The host waits
 * only where it is all buffers ahead.
 */
final class Staging implements AutoCloseable {
    /** A micro-batch uploads about as many small arrays before the host waits for its loss. */
    private static final int BUFFERS = 4;

    private final Jcuda.Stream stream;
    private final long capacity;
    private final long[] addresses = new long[BUFFERS];
    private final Jcuda.Event[] copied = new Jcuda.Event[BUFFERS];
    private int next;

    /** @throws InputException where the host has no such memory */
    Staging(Jcuda.Stream stream, long capacity) {
        this.stream = stream;
        this.capacity = capacity;
        try {
            for (int i = 0; i < addresses.length; i++) {
                addresses[i] = allocate(capacity);
                copied[i] = Jcuda.createEvent();
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private static long allocate(long bytes) {
        long address = Jcuda.allocatePinned(bytes);
        if (address == 0) {
            throw new InputException("out of pinned host memory: " + bytes
                    + " bytes asked for; end other programs, or raise the limit of locked memory (ulimit -l)");
        }
        return address;
    }

    /** Bytes of a buffer. */
    long capacity() {
        return capacity;
    }

    /** A buffer that the device has done with; it is handed over by {@link #handOver}. */
    MemorySegment acquire() {
        next = (next + 1) % BUFFERS;
        Jcuda.synchronize(copied[next]);
        return MemorySegment.ofAddress(addresses[next]).reinterpret(capacity);
    }

    /** To be called after a copy out of the buffer last acquired was enqueued. */
    void handOver() {
        Jcuda.record(copied[next], stream);
    }

    /** The address of the buffer last acquired. */
    long address() {
        return addresses[next];
    }

    @Override
    public void close() {
        for (int i = 0; i < addresses.length; i++) {
            if (copied[i] != null) {
                Jcuda.destroy(copied[i]);
                copied[i] = null;
            }
            if (addresses[i] != 0) {
                Jcuda.freePinned(addresses[i]);
                addresses[i] = 0;
            }
        }
    }
}
