package dev.graft.benchmarks.gpu;

import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A random matrix that the host knows as exactly as the device: uniform numbers, rounded to the dtype. Its rows repeat after
 * {@link #period}, so that large ones take little time and host memory.
 */
final class RandomMatrix {
    private static final int MOST_NUMBERS = 1 << 21;
    private static final long SEED = 1;

    private final DType dtype;
    private final int rows;
    private final int cols;
    private final int period;
    private final float[] values;

    /**
     * @param stream a number of its own
     * @param bound of the absolute values
     */
    RandomMatrix(int stream, DType dtype, int rows, int cols, float bound) {
        this.dtype = dtype;
        this.rows = rows;
        this.cols = cols;
        this.period = Math.clamp(MOST_NUMBERS / cols, 1, rows);
        this.values = RandomFill.uniform(SEED, RandomPurpose.INITIALISE_WEIGHTS, stream, period * cols, bound);
        for (int i = 0; i < values.length; i++) {
            values[i] = HostFloats.round(values[i], dtype);
        }
    }

    int rows() {
        return rows;
    }

    int cols() {
        return cols;
    }

    /** Row {@code period + i} is row i. */
    int period() {
        return period;
    }

    double at(int row, int col) {
        return values[row % period * cols + col];
    }

    /** A copy on the device. */
    Tensor upload(Engine engine, Workspace workspace) {
        return filled(engine, workspace.tensor(MemoryKind.WORKSPACE, "matrix", dtype, rows, cols));
    }

    /** A copy on the device with the engine's border. */
    Tensor uploadBordered(Engine engine, Workspace workspace) {
        return filled(engine, workspace.bordered(MemoryKind.WORKSPACE, "matrix", dtype, rows, cols));
    }

    private Tensor filled(Engine engine, Tensor destination) {
        try (Memory memory = engine.allocate((long) values.length * dtype.byteSize())) {
            Tensor block = Tensor.of(memory, 0, dtype, period, cols);
            engine.upload(values, block);
            for (int row = 0; row < rows; row += period) {
                int count = Math.min(period, rows - row);
                engine.convert(block.rows(0, count), destination.rows(row, row + count));
            }
        }
        return destination;
    }

    /** A copy on the device that is a frozen weight. The caller closes its memory. */
    TensorView freeze(Engine engine) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment stored = arena.allocate((long) rows * cols * dtype.byteSize(), 64);
            HostFloats.write(values, stored, dtype, 0);
            long blockBytes = (long) values.length * dtype.byteSize();
            for (long at = blockBytes; at < stored.byteSize(); at += blockBytes) {
                MemorySegment.copy(stored, 0, stored, at, Math.min(blockBytes, stored.byteSize() - at));
            }
            return engine.freeze(stored, dtype, rows, cols, dtype);
        }
    }
}
