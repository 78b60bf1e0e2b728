package dev.graft.cpu.matmul;

import dev.graft.cpu.onednn.MatMulLayout;
import dev.graft.cpu.onednn.MatMulLayout.Addition;
import dev.graft.cpu.onednn.OneDnn;
import dev.graft.cpu.onednn.OneDnnWorker;
import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.Arrays;

/**
 * Matrix products with oneDNN's kernels, split among the pool's workers, one thread of oneDNN each.
 *
 * <p>Why not oneDNN's own OpenMP threads: measured on two cores of an Emerald Rapids Xeon, f32, x Wᵀ, best of many, the pool does
 * [1024, 576] · [576, 576]ᵀ at 284 GFLOP/s, OpenMP at 309 if its idle threads spin, 145 if they sleep; [256, 64] · [64, 64]ᵀ takes
 * 6.5 µs on the pool, OpenMP 9.7 or 14.7 µs. One set of threads serves all loops, and none spins beside it.
 */
public final class OneDnnMatMul implements MatMul {
    private final OneDnn oneDnn;
    private final WorkerPool pool;
    private final OneDnnWorker[] workers;
    private final JavaMatMul java;
    private final WidenedProduct[] widened;

    /** @param oneDnn becomes this object's to close */
    public OneDnnMatMul(OneDnn oneDnn, WorkerPool pool) {
        this.oneDnn = oneDnn;
        this.pool = pool;
        workers = new OneDnnWorker[pool.size()];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = oneDnn.newWorker();
        }
        java = new JavaMatMul(pool);
        widened = new WidenedProduct[workers.length];
        Arrays.setAll(widened, worker -> new WidenedProduct());
    }

    @Override
    public boolean supportsBf16() {
        return oneDnn.hasBf16Instructions();
    }

    @Override
    public String description() {
        return "oneDNN " + oneDnn.version() + " on " + pool.size() + (pool.size() == 1 ? " thread" : " threads");
    }

    @Override
    public void multiply(Product product) {
        TileGrid.run(pool, product, (tile, worker) -> multiplyOn(worker, tile));
    }

    @Override
    public void multiplyOn(int worker, Product product) {
        if (product.m() == 0 || product.n() == 0) {
            return;
        }
        if (product.m() <= FewRows.MAX_ROWS || product.k() == 0) {
            java.multiplyOn(worker, product);
        } else if (isWidened(product)) {
            widened[worker].compute(product, block -> multiplyNatively(worker, block));
        } else {
            multiplyNatively(worker, product);
        }
    }

    /**
     * Measured on two cores of an Emerald Rapids Xeon without AMX, at [1024, 576] · [576, 576]: bf16 instructions 84 GFLOP/s a
     * core, f32 instructions 160, so that widening pays wherever a block is used often enough.
     */
    private boolean isWidened(Product product) {
        return product.a().dtype() == DType.BF16
                && (!oneDnn.hasBf16Instructions() || (!oneDnn.isBf16Fast() && WidenedProduct.pays(product)));
    }

    private void multiplyNatively(int worker, Product product) {
        MatMulLayout layout = layout(product);
        // no kernel of oneDNN's takes a bf16 bias to f32 matrices; and its reference code is slower than Java's
        boolean mixedBias = layout.bias() == DType.BF16 && layout.inputs() == DType.F32;
        if (mixedBias || !workers[worker].isFast(layout)) {
            java.multiplyOn(worker, product);
            return;
        }
        if (layout.addition() == Addition.DESTINATION && product.addend() != null) {
            copy(product.addend(), product.c());
        }
        TensorView bias = product.bias();
        TensorView addend = product.addend();
        workers[worker].multiply(
                layout,
                HostAddress.of(product.a()),
                HostAddress.of(product.b()),
                bias == null ? 0 : HostAddress.of(bias),
                addend == null ? 0 : HostAddress.of(addend),
                HostAddress.of(product.c()));
        Reference.reachabilityFence(product); // memory that a garbage collector frees must outlive the call
    }

    private static MatMulLayout layout(Product product) {
        TensorView bias = product.bias();
        return new MatMulLayout(
                product.m(),
                product.n(),
                product.k(),
                product.transA(),
                pitch(product.a()),
                product.transB(),
                pitch(product.b()),
                pitch(product.c()),
                product.a().dtype(),
                product.c().dtype(),
                bias == null ? null : bias.dtype(),
                addition(product));
    }

    private static Addition addition(Product product) {
        TensorView addend = product.addend();
        if (addend == null) {
            return product.beta() == 0 ? Addition.NONE : Addition.DESTINATION;
        }
        // with an addend whose rows lie apart oneDNN is three times slower (Zen 4, bf16: 110 against 370 GFLOP/s)
        boolean dense = pitch(addend) == addend.cols() && pitch(product.c()) == addend.cols();
        return dense && !isSame(addend, product.c()) ? Addition.ADDEND : Addition.DESTINATION;
    }

    /** A single row has no pitch to tell layouts apart by. */
    private static long pitch(TensorView view) {
        return view.rows() == 1 ? view.cols() : view.pitch();
    }

    private static boolean isSame(TensorView a, TensorView b) {
        return HostAddress.of(a) == HostAddress.of(b) && a.pitch() == b.pitch();
    }

    private static void copy(TensorView from, Tensor to) {
        if (isSame(from, to)) {
            return;
        }
        MemorySegment source = HostAddress.segment(from);
        MemorySegment target = HostAddress.segment(to);
        long rowBytes = (long) from.cols() * from.dtype().byteSize();
        for (int row = 0; row < from.rows(); row++) {
            MemorySegment.copy(source, from.rowOffset(row), target, to.rowOffset(row), rowBytes);
        }
    }

    @Override
    public void close() {
        for (int i = 0; i < workers.length; i++) {
            workers[i].close();
            widened[i].close();
        }
        oneDnn.close();
    }
}
