package dev.graft.cpu.matmul;

import dev.graft.tensor.HostMemory;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;

/** From a matrix to the memory behind it. */
final class HostAddress {
    private HostAddress() {}

    /** @throws IllegalArgumentException if the matrix does not lie in host memory */
    static MemorySegment segment(TensorView view) {
        if (view.memory() instanceof HostMemory host) {
            return host.segment();
        }
        throw new IllegalArgumentException("matrix " + view + " does not lie in this machine's memory");
    }

    /**
     * The address of a matrix's first element.
     *
     * @throws IllegalArgumentException if the matrix lies in a Java array, whose address changes
     * @throws IllegalStateException if the memory has been freed
     */
    static long of(TensorView view) {
        MemorySegment segment = segment(view);
        if (!segment.isNative()) {
            throw new IllegalArgumentException("matrix " + view + " lies in a Java array, not in native memory");
        }
        if (!segment.scope().isAlive()) {
            throw new IllegalStateException("the memory of matrix " + view + " has been freed");
        }
        return segment.address() + view.byteOffset();
    }
}
