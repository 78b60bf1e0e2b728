package dev.graft.cuda.ops;

import dev.graft.cuda.driver.DeviceMemory;
import dev.graft.cuda.driver.Transfers;
import dev.graft.engine.BufferLayout;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Weights on their way from a mapped file to the device: while the device copies one piece, the next is read from the file. A
 * weight of another dtype is converted on the device.
 */
public final class Freezing {
    private static final Logger log = LoggerFactory.getLogger(Freezing.class);

    private final Gpu gpu;
    private final BufferLayout layout;
    /** Of weights since the last {@link #protect}, and those among them that it protects; for the log. */
    private long frozenBytes;

    private long protectedBytes;

    public Freezing(Gpu gpu, BufferLayout layout) {
        this.gpu = gpu;
        this.layout = layout;
    }

    /** Bytes that {@link #freeze} allocates. */
    public long bytes(int rows, int cols, DType compute) {
        long bytes = rowsWithBorder(rows) * pitch(rows, cols) * compute.byteSize();
        return Math.max(layout.alignment(), Math.ceilDiv(bytes, (long) layout.alignment()) * layout.alignment());
    }

    /** Borders are written in every step: what has one cannot be protected. */
    public boolean protects(int rows) {
        return gpu.device().protects() && !isBordered(rows);
    }

    /** From here on the device refuses to write weights without a border, where the driver can have it do so. */
    public void protect() {
        if (gpu.device().protects()) {
            gpu.device().protect();
            log.debug("{} bytes of the {} just frozen are read-only to the device", protectedBytes, frozenBytes);
            frozenBytes = 0;
            protectedBytes = 0;
        }
    }

    /** Vectors (norms, biases) have no border. */
    private boolean isBordered(int rows) {
        return layout.border() > 0 && rows > 1;
    }

    private long rowsWithBorder(int rows) {
        return isBordered(rows) ? (long) rows + layout.border() : rows;
    }

    private long pitch(int rows, int cols) {
        return isBordered(rows) ? layout.pitch(cols) : cols;
    }

    /** The weight [rows, cols] in the compute dtype. All of {@code stored} was read when this returns. */
    public TensorView freeze(MemorySegment stored, DType storedType, int rows, int cols, DType compute) {
        long bytes = bytes(rows, cols, compute);
        DeviceMemory memory = protects(rows)
                ? gpu.device().allocateProtected(bytes)
                : gpu.device().allocate(bytes);
        try {
            FrozenMatrix matrix = new FrozenMatrix(
                    memory, compute, rows, cols, pitch(rows, cols), isBordered(rows) ? layout.border() : 0);
            load(stored, storedType, matrix.weight());
            frozenBytes += bytes;
            protectedBytes += protects(rows) ? bytes : 0;
            return matrix.weight();
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
    }

    private void load(MemorySegment stored, DType storedType, TensorView weight) {
        long width = Math.min(weight.cols(), pieceBytes() / storedType.byteSize());
        long height = Math.max(1, pieceBytes() / (width * storedType.byteSize()));
        for (int row = 0; row < weight.rows(); row += (int) height) {
            int rows = (int) Math.min(height, weight.rows() - row);
            for (int col = 0; col < weight.cols(); col += (int) width) {
                int cols = (int) Math.min(width, weight.cols() - col);
                long offset = ((long) row * weight.cols() + col) * storedType.byteSize();
                piece(stored, offset, storedType, weight.rows(row, row + rows).columns(col, col + cols));
            }
        }
    }

    /** What goes through pinned memory, and where it must be converted through the scratch, at once. */
    private long pieceBytes() {
        return Math.min(gpu.device().transfers().pieceBytes(), gpu.scratchBytes()) / 16 * 16;
    }

    /** Rows of the file that lie back to back (a part of one row, or whole rows). */
    private void piece(MemorySegment stored, long offset, DType storedType, TensorView destination) {
        Transfers transfers = gpu.device().transfers();
        long rowBytes = (long) destination.cols() * storedType.byteSize();
        if (storedType == destination.dtype()) {
            long pitch = destination.pitch() * storedType.byteSize();
            transfers.uploadRows(stored, offset, gpu.at(destination), pitch, rowBytes, destination.rows());
            return;
        }
        transfers.uploadRows(stored, offset, gpu.scratch(), rowBytes, rowBytes, destination.rows());
        gpu.check(
                gpu.kernels()
                        .convert(
                                gpu.stream(),
                                Gpu.code(storedType),
                                gpu.scratch(),
                                destination.cols(),
                                Gpu.code(destination.dtype()),
                                gpu.at(destination),
                                destination.pitch(),
                                destination.rows(),
                                destination.cols()),
                "loading of a weight",
                storedType.name(),
                destination);
    }
}
