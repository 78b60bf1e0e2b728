package dev.graft.cpu.kernels;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The gated activation of a decoder's feed-forward layer; all tensors [M, F].
 *
 * <pre>
 *   forward    y = silu(gate) · up,  silu(g) = g σ(g),  σ(g) = 1 / (1 + e⁻ᵍ)
 *   backward   dgate = dy · up · σ(g) (1 + g (1 - σ(g))),  dup = dy · silu(g)
 * </pre>
 */
public final class Swiglu {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    // F32 is read and written where it lies: loading, computing and storing then overlap, where copies of rows wait for
    // memory one after the other. The loops call no helper but one, because C2 stops inlining in large methods, and a
    // vector that goes through a call costs an object. BF16, whose conversions are too large for such a loop, goes
    // through float arrays.

    private Swiglu() {}

    public static void forward(Workbench bench, TensorView gate, TensorView up, Tensor y) {
        if (y.dtype() == DType.F32) {
            forwardInPlace(bench, gate, up, y);
            return;
        }
        bench.forChunks(
                y.rows(), y.cols(), (row, from, n, worker) -> forward(bench, gate, up, y, row, from, n, worker));
    }

    /** The whole vectors of a row where they lie in memory, the rest of it as {@link #forward} does all. */
    private static void forwardInPlace(Workbench bench, TensorView gate, TensorView up, Tensor y) {
        MemorySegment gateSegment = Rows.segment(gate);
        MemorySegment upSegment = Rows.segment(up);
        MemorySegment ySegment = Rows.segment(y);
        bench.forChunks(y.rows(), y.cols(), (row, from, n, worker) -> {
            long gateOffset = Rows.offset(gate, row, from);
            long upOffset = Rows.offset(up, row, from);
            long yOffset = Rows.offset(y, row, from);
            int whole = F.loopBound(n);
            activate(gateSegment, gateOffset, upSegment, upOffset, ySegment, yOffset, whole);
            if (whole < n) {
                forward(bench, gate, up, y, row, from + whole, n - whole, worker);
            }
        });
    }

    private static void activate(
            MemorySegment gate, long gateAt, MemorySegment up, long upAt, MemorySegment y, long yAt, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector g = FloatVector.fromMemorySegment(F, gate, gateAt + 4L * i, LITTLE_ENDIAN);
            g.mul(Lanes.sigmoid(g))
                    .mul(FloatVector.fromMemorySegment(F, up, upAt + 4L * i, LITTLE_ENDIAN))
                    .intoMemorySegment(y, yAt + 4L * i, LITTLE_ENDIAN);
        }
    }

    private static void forward(
            Workbench bench, TensorView gate, TensorView up, Tensor y, int row, int from, int n, int worker) {
        float[] g = bench.scratch.floats(worker, 0, Workbench.CHUNK);
        float[] u = bench.scratch.floats(worker, 1, Workbench.CHUNK);
        Rows.load(gate, row, from, n, g, 0);
        Rows.load(up, row, from, n, u, 0);
        activate(g, u, n);
        Rows.store(g, 0, y, row, from, n);
    }

    /** g becomes silu(g) · u. */
    private static void activate(float[] g, float[] u, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector gi = FloatVector.fromArray(F, g, i);
            gi.mul(Lanes.sigmoid(gi)).mul(FloatVector.fromArray(F, u, i)).intoArray(g, i);
        }
    }

    /** dgate may be gate, dup may be up. */
    public static void backward(
            Workbench bench, TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        if (dy.dtype() == DType.F32) {
            backwardInPlace(bench, dy, gate, up, dgate, dup);
            return;
        }
        bench.forChunks(
                dy.rows(),
                dy.cols(),
                (row, from, n, worker) -> backward(bench, dy, gate, up, dgate, dup, row, from, n, worker));
    }

    /** As {@link #forwardInPlace}. */
    private static void backwardInPlace(
            Workbench bench, TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        MemorySegment dySegment = Rows.segment(dy);
        MemorySegment gateSegment = Rows.segment(gate);
        MemorySegment upSegment = Rows.segment(up);
        MemorySegment dgateSegment = Rows.segment(dgate);
        MemorySegment dupSegment = Rows.segment(dup);
        bench.forChunks(dy.rows(), dy.cols(), (row, from, n, worker) -> {
            long dyOffset = Rows.offset(dy, row, from);
            long gateOffset = Rows.offset(gate, row, from);
            long upOffset = Rows.offset(up, row, from);
            long dgateOffset = Rows.offset(dgate, row, from);
            long dupOffset = Rows.offset(dup, row, from);
            int whole = F.loopBound(n);
            gradients(
                    dySegment, dyOffset, gateSegment, gateOffset, upSegment, upOffset, dgateSegment, dgateOffset,
                    dupSegment, dupOffset, whole);
            if (whole < n) {
                backward(bench, dy, gate, up, dgate, dup, row, from + whole, n - whole, worker);
            }
        });
    }

    private static void gradients(
            MemorySegment dy,
            long dyAt,
            MemorySegment gate,
            long gateAt,
            MemorySegment up,
            long upAt,
            MemorySegment dgate,
            long dgateAt,
            MemorySegment dup,
            long dupAt,
            int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector g = FloatVector.fromMemorySegment(F, gate, gateAt + 4L * i, LITTLE_ENDIAN);
            FloatVector sigma = Lanes.sigmoid(g);
            FloatVector silu = g.mul(sigma);
            FloatVector slope = silu.fma(sigma.neg().add(1f), sigma); // as in the other gradients
            FloatVector d = FloatVector.fromMemorySegment(F, dy, dyAt + 4L * i, LITTLE_ENDIAN);
            FloatVector u = FloatVector.fromMemorySegment(F, up, upAt + 4L * i, LITTLE_ENDIAN);
            d.mul(u).mul(slope).intoMemorySegment(dgate, dgateAt + 4L * i, LITTLE_ENDIAN);
            d.mul(silu).intoMemorySegment(dup, dupAt + 4L * i, LITTLE_ENDIAN);
        }
    }

    private static void backward(
            Workbench bench,
            TensorView dy,
            TensorView gate,
            TensorView up,
            Tensor dgate,
            Tensor dup,
            int row,
            int from,
            int n,
            int worker) {
        float[] g = bench.scratch.floats(worker, 0, Workbench.CHUNK);
        float[] u = bench.scratch.floats(worker, 1, Workbench.CHUNK);
        float[] d = bench.scratch.floats(worker, 2, Workbench.CHUNK);
        Rows.load(gate, row, from, n, g, 0);
        Rows.load(up, row, from, n, u, 0);
        Rows.load(dy, row, from, n, d, 0);
        gradients(g, u, d, n);
        Rows.store(g, 0, dgate, row, from, n);
        Rows.store(u, 0, dup, row, from, n);
    }

    /** g becomes dgate, u becomes dup. */
    private static void gradients(float[] g, float[] u, float[] d, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector gi = FloatVector.fromArray(F, g, i);
            FloatVector di = FloatVector.fromArray(F, d, i);
            FloatVector sigma = Lanes.sigmoid(gi);
            FloatVector silu = gi.mul(sigma);
            // σ (1 + g (1 - σ)) = σ + silu (1 - σ)
            FloatVector slope = silu.fma(sigma.neg().add(1f), sigma);
            di.mul(FloatVector.fromArray(F, u, i)).mul(slope).intoArray(g, i);
            di.mul(silu).intoArray(u, i);
        }
    }
}
