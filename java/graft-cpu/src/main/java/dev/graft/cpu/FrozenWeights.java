package dev.graft.cpu;

import dev.graft.cpu.kernels.Transfer;
import dev.graft.cpu.kernels.Workbench;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;

/** Checkpoint bytes as weights that nobody can write. */
final class FrozenWeights {
    private FrozenWeights() {}

    /**
     * Used in place where the dtype is right and the address is a multiple of an element's size, as safetensors files have it;
     * otherwise converted into memory of the view's own.
     */
    static TensorView freeze(
            Workbench bench, MemorySegment stored, DType storedType, int rows, int cols, DType compute) {
        MemorySegment readOnly = stored.asReadOnly();
        TensorView source = TensorView.readOnly(HostMemory.borrowed(readOnly), 0, storedType, rows, cols);
        if (storedType == compute && stored.isNative() && stored.address() % compute.byteSize() == 0) {
            return source;
        }
        HostMemory owned = CpuMemory.allocate((long) rows * cols * compute.byteSize());
        Transfer.convert(bench, source, Tensor.of(owned, 0, compute, rows, cols));
        HostMemory sealed = new HostMemory(owned.segment().asReadOnly(), owned.onClose());
        return TensorView.readOnly(sealed, 0, compute, rows, cols);
    }

    /** Bytes that {@link #freeze} allocates for an aligned checkpoint. */
    static long bytes(DType storedType, int rows, int cols, DType compute) {
        return storedType == compute ? 0 : (long) rows * cols * compute.byteSize();
    }
}
