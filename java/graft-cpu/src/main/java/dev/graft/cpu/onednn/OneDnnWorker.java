package dev.graft.cpu.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Runs matrix products one after the other, each on the thread that calls. One thread at a time may use it; any number of
 * workers run beside each other. Prepared products are kept, the least recently used thrown away first, so that a call allocates
 * nothing.
 */
public final class OneDnnWorker implements AutoCloseable {
    private static final int KEPT_PRIMITIVES = 512;
    private static final long SCRATCH_ALIGNMENT = 64;

    private final long engine;
    private final long stream;
    private final Map<MatMulLayout, MatMulPrimitive> primitives = new LinkedHashMap<>(16, 0.75f, true);
    private @Nullable Arena scratchArena;
    private MemorySegment scratch = MemorySegment.NULL;
    private boolean closed;

    OneDnnWorker(long engine) {
        this.engine = engine;
        stream = OneDnnApi.createStream(engine);
    }

    /**
     * Whether oneDNN has a tuned implementation for {@code layout}; its reference code is slower than plain Java.
     *
     * @throws OneDnnException if it has none at all
     */
    public boolean isFast(MatMulLayout layout) {
        return !primitive(layout).implementation().startsWith("ref");
    }

    /** Which of oneDNN's implementations runs {@code layout}. */
    public String implementation(MatMulLayout layout) {
        return primitive(layout).implementation();
    }

    /**
     * Runs {@code layout} over matrices at these addresses; those that the layout lacks are ignored.
     *
     * @throws OneDnnException if oneDNN cannot do it
     */
    public void multiply(MatMulLayout layout, long a, long b, long bias, long addend, long c) {
        // oneDNN is to stay on this thread. The setting is the thread's own, and setting it costs a nanosecond.
        OneDnnApi.setOpenMpThreads(1);
        MatMulPrimitive primitive = primitive(layout);
        try {
            primitive.execute(stream, a, b, bias, addend, c, scratchAddress(primitive.scratchpadBytes()));
        } catch (OneDnnException failed) {
            throw new OneDnnException(layout + ": " + failed.getMessage(), failed);
        }
    }

    private MatMulPrimitive primitive(MatMulLayout layout) {
        if (closed) {
            throw new IllegalStateException("this oneDNN worker is closed");
        }
        MatMulPrimitive known = primitives.get(layout);
        return known != null ? known : prepare(layout);
    }

    private MatMulPrimitive prepare(MatMulLayout layout) {
        OneDnnApi.setOpenMpThreads(1); // it is built for as many threads as are set now
        MatMulPrimitive primitive;
        try {
            primitive = new MatMulPrimitive(engine, layout);
        } catch (OneDnnException failed) {
            throw new OneDnnException(layout + ": " + failed.getMessage(), failed);
        }
        if (primitives.size() >= KEPT_PRIMITIVES) {
            var eldest = primitives.entrySet().iterator();
            eldest.next().getValue().close();
            eldest.remove();
        }
        primitives.put(layout, primitive);
        return primitive;
    }

    private long scratchAddress(long bytes) {
        if (scratch.byteSize() < bytes) {
            closeScratch();
            Arena arena = Arena.ofShared();
            scratchArena = arena;
            scratch = arena.allocate(bytes, SCRATCH_ALIGNMENT);
        }
        return scratch.address();
    }

    private void closeScratch() {
        scratch = MemorySegment.NULL;
        if (scratchArena != null) {
            scratchArena.close();
            scratchArena = null;
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        primitives.values().forEach(MatMulPrimitive::close);
        primitives.clear();
        closeScratch();
        OneDnnApi.destroyStream(stream);
    }
}
