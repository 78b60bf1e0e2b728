package dev.graft.cpu.kernels;

import dev.graft.cpu.matmul.MatMul;
import dev.graft.cpu.parallel.RangeTask;
import dev.graft.cpu.parallel.WorkerPool;
import java.util.concurrent.atomic.AtomicInteger;

/** What the kernels of one engine work with: its threads, its matrix products, its reused buffers. */
public final class Workbench implements AutoCloseable {
    /** Elements that a worker must have to do before a loop is worth handing over to another thread. */
    private static final int ELEMENTS_PER_SHARE = 8 * 1024;

    /** Elements of a row that elementwise kernels treat at once; a few such buffers fit into the first cache level. */
    static final int CHUNK = 2048;

    private final WorkerPool pool;
    final MatMul matMul;
    final Scratch scratch;

    /** @param pool stays the caller's, and so does {@code matMul} */
    public Workbench(WorkerPool pool, MatMul matMul) {
        this.pool = pool;
        this.matMul = matMul;
        scratch = new Scratch(pool.size());
    }

    int workers() {
        return pool.size();
    }

    /** Splits rows of {@code cols} elements among the workers. */
    void forRows(int rows, int cols, RangeTask task) {
        pool.forEachRange(rows, Math.max(1, ELEMENTS_PER_SHARE / Math.max(1, cols)), task);
    }

    /** A piece of a row: columns {@code from} to {@code from + n}, at most {@link #CHUNK}. */
    interface ChunkTask {
        void run(int row, int from, int n, int worker);
    }

    /** Splits a matrix into pieces of rows and those among the workers; good for one long row as well as for many short ones. */
    void forChunks(int rows, int cols, ChunkTask task) {
        int perRow = Math.ceilDiv(cols, CHUNK);
        long chunks = (long) rows * perRow;
        if (chunks == 0) {
            return;
        }
        if (chunks > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    "a matrix of [" + rows + ", " + cols + "] is too large for one operation");
        }
        int chunkCols = Math.min(cols, CHUNK);
        forRows((int) chunks, chunkCols, (first, last, worker) -> {
            for (int chunk = first; chunk < last; chunk++) {
                int from = chunk % perRow * CHUNK;
                task.run(chunk / perRow, from, Math.min(CHUNK, cols - from), worker);
            }
        });
    }

    /** Splits columns among the workers, in whole chunks; for sums over rows that must be formed in order. */
    void forColumns(int rows, int cols, RangeTask task) {
        int chunk = Math.max(Lanes.COUNT, Math.min(256, Lanes.roundUp(ELEMENTS_PER_SHARE / Math.max(1, rows))));
        pool.forEachRange(cols, chunk, task);
    }

    /** One of many tasks of different length. */
    interface Task {
        void run(int task, int worker);
    }

    /** Starts tasks 0, 1, 2 ... in this order, each on the next worker that is free. */
    void forTasks(int tasks, Task task) {
        AtomicInteger next = new AtomicInteger();
        pool.forEachRange(Math.min(tasks, pool.size()), 1, (from, to, worker) -> {
            for (int t = next.getAndIncrement(); t < tasks; t = next.getAndIncrement()) {
                task.run(t, worker);
            }
        });
    }

    @Override
    public void close() {
        scratch.close();
    }
}
