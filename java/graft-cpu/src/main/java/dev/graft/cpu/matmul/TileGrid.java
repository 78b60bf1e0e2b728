package dev.graft.cpu.matmul;

import dev.graft.cpu.parallel.WorkerPool;
import java.util.function.ObjIntConsumer;

/**
 * How a product is split among workers: {@code rowParts × colParts} tiles of c, one a worker, each computed whole by its worker.
 * Sums are never split, so a tile's values do not depend on who computes it.
 */
record TileGrid(int rowParts, int colParts) {
    /** A tile that costs less takes less time than handing it to another worker (1 to 2 µs). */
    private static final long MIN_COST = 500_000;

    /** What it costs to read or write an element, in multiply-adds. */
    private static final long MEMORY_COST = 8;

    /** Tiles start at multiples of this many rows and columns: whole vectors, whole cache lines. */
    private static final int GRAIN = 32;

    /** The grid for c [m, n] and sums of length k. */
    static TileGrid of(int m, int n, int k, int workers) {
        long memory = (long) m * k + (long) k * n + (long) m * n;
        long cost = (long) m * n * k + MEMORY_COST * memory;
        int tiles = (int) Math.max(1, Math.min(workers, cost / MIN_COST));
        TileGrid best = new TileGrid(1, 1);
        double bestCost = Double.POSITIVE_INFINITY;
        for (int rowParts = 1; rowParts <= tiles; rowParts++) {
            int colParts = tiles / rowParts;
            int rows = longest(m, rowParts);
            int cols = longest(n, colParts);
            // the slowest worker's: its sums, and the vectors it reads for them
            double slowest = (double) rows * cols + MEMORY_COST * (rows + cols);
            if (slowest < bestCost) {
                bestCost = slowest;
                best = new TileGrid(rowParts, colParts);
            }
        }
        return best;
    }

    private static int longest(int length, int parts) {
        int grains = (length + GRAIN - 1) / GRAIN;
        return Math.min(length, (grains + parts - 1) / parts * GRAIN);
    }

    private static int start(int length, int parts, int part) {
        long grains = (length + GRAIN - 1) / GRAIN;
        return (int) Math.min(length, grains * part / parts * GRAIN);
    }

    /** Splits {@code product} and runs each tile on a worker of the pool. */
    static void run(WorkerPool pool, Product product, ObjIntConsumer<Product> onWorker) {
        int m = product.m();
        int n = product.n();
        TileGrid grid = of(m, n, product.k(), pool.size());
        pool.forEachRange(grid.rowParts * grid.colParts, 1, (from, to, worker) -> {
            for (int tile = from; tile < to; tile++) {
                int row = tile / grid.colParts;
                int col = tile % grid.colParts;
                int m0 = start(m, grid.rowParts, row);
                int m1 = start(m, grid.rowParts, row + 1);
                int n0 = start(n, grid.colParts, col);
                int n1 = start(n, grid.colParts, col + 1);
                if (m0 < m1 && n0 < n1) {
                    onWorker.accept(product.tile(m0, m1, n0, n1), worker);
                }
            }
        });
    }
}
