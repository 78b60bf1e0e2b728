package dev.graft.cuda.driver;

import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.engine.EngineFailure;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Whether a driver maps device memory so that the device itself can read it and not write it. */
public final class ReadOnlyMapping {
    private static final Logger log = LoggerFactory.getLogger(ReadOnlyMapping.class);

    private ReadOnlyMapping() {}

    /**
     * What the driver did.
     *
     * @param granted it mapped memory so, and that could be read
     * @param enforced a write into it failed
     * @param detail the driver's words for what it refused; empty where it refused nothing
     */
    public record Outcome(boolean granted, boolean enforced, String detail) {}

    /** Tries it. Where a write failed the process can use the GPU no more: not for a process that has other work to do. */
    public static Outcome probe(CudaLibraries libraries, int ordinal) {
        Jcuda.load(libraries.jcudaFolder());
        Jcuda.Context context = Jcuda.retainContext(ordinal);
        Jcuda.makeCurrent(context);
        Jcuda.Stream stream = Jcuda.createStream();
        try {
            long bytes = Jcuda.mappingGranularity(context);
            Jcuda.Mapping mapping = Jcuda.map(context, bytes);
            if (mapping == null) {
                throw new OutOfDeviceMemory(bytes, Jcuda.freeBytes());
            }
            try {
                return probe(mapping, context, stream);
            } finally {
                release(() -> Jcuda.unmap(mapping));
            }
        } catch (EngineFailure refused) {
            return new Outcome(false, false, refused.getMessage());
        } finally {
            release(() -> Jcuda.destroy(stream));
            release(() -> Jcuda.releaseContext(context));
        }
    }

    private static Outcome probe(Jcuda.Mapping mapping, Jcuda.Context context, Jcuda.Stream stream) {
        write(mapping, stream);
        Jcuda.allow(mapping, context, false);
        read(mapping, stream);
        try {
            write(mapping, stream);
            return new Outcome(true, false, "");
        } catch (EngineFailure refused) {
            return new Outcome(true, true, refused.getMessage());
        }
    }

    private static void write(Jcuda.Mapping mapping, Jcuda.Stream stream) {
        Jcuda.zero(mapping.address(), mapping.byteSize(), mapping.byteSize(), 1, stream);
        Jcuda.synchronize(stream);
    }

    private static void read(Jcuda.Mapping mapping, Jcuda.Stream stream) {
        long host = Jcuda.allocatePinned(mapping.byteSize());
        try {
            Jcuda.copyToHost(host, mapping.address(), mapping.byteSize(), stream);
            Jcuda.synchronize(stream);
        } finally {
            release(() -> Jcuda.freePinned(host));
        }
    }

    /** After a write that failed the driver refuses even that, and frees all with the process. */
    private static void release(Runnable close) {
        try {
            close.run();
        } catch (EngineFailure e) {
            log.debug("while closing: {}", e.getMessage());
        }
    }
}
