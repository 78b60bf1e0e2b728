package dev.graft.cpu.kernels;

import dev.graft.cpu.CpuMemory;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Buffers that operations use while they run. Each worker has its own, numbered by slot; a buffer grows to the largest size that
 * was ever asked for and is then used again, so that in a steady state nothing is allocated. What they hold is undefined.
 */
final class Scratch implements AutoCloseable {
    private static final int SLOTS = 12;

    private final float[][][] arrays;
    private final int[][] words;
    private final @Nullable HostMemory[][] memories;

    Scratch(int workers) {
        arrays = new float[workers][SLOTS][0];
        words = new int[workers][0];
        memories = new @Nullable HostMemory[workers + 1][SLOTS];
    }

    /** At least {@code n} floats, rounded up to whole vectors, so that loops need not stop at n exactly. */
    float[] floats(int worker, int slot, int n) {
        float[][] own = arrays[worker];
        if (own[slot].length < n || n == 0) {
            own[slot] = new float[Lanes.roundUp(Math.max(n, 1))];
        }
        return own[slot];
    }

    /** At least {@code n} integers. */
    int[] words(int worker, int n) {
        if (words[worker].length < n) {
            words[worker] = new int[n];
        }
        return words[worker];
    }

    /** A contiguous matrix for one worker alone. */
    Tensor tensor(int worker, int slot, DType dtype, int rows, int cols) {
        return tensor(memories[worker], slot, dtype, rows, cols);
    }

    /** A contiguous matrix for all workers of one operation; not to be asked for inside the pool's tasks. */
    Tensor sharedTensor(int slot, DType dtype, int rows, int cols) {
        return tensor(memories[memories.length - 1], slot, dtype, rows, cols);
    }

    private static Tensor tensor(@Nullable HostMemory[] own, int slot, DType dtype, int rows, int cols) {
        long bytes = (long) rows * cols * dtype.byteSize();
        HostMemory memory = own[slot];
        if (memory == null || memory.byteSize() < bytes) {
            if (memory != null) {
                memory.close();
                own[slot] = null;
            }
            memory = CpuMemory.allocate(Math.max(bytes, 64));
            own[slot] = memory;
        }
        return Tensor.of(memory, 0, dtype, rows, cols);
    }

    @Override
    public void close() {
        for (@Nullable HostMemory[] own : memories) {
            for (int slot = 0; slot < SLOTS; slot++) {
                HostMemory memory = own[slot];
                if (memory != null) {
                    memory.close();
                    own[slot] = null;
                }
            }
        }
    }
}
