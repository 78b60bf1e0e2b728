package dev.graft.cpu.kernels;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
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

    // Whole vectors are read and written where they lie: loading, computing and storing then overlap, where copies of
    // rows wait for memory one after the other. Each loop is a method of its own and calls little: C2 stops inlining in
    // large methods, and a vector that goes through a call costs an object, which makes the loop five times slower.

    private Swiglu() {}

    public static void forward(Workbench bench, TensorView gate, TensorView up, Tensor y) {
        boolean f32 = y.dtype() == DType.F32;
        bench.forChunks(y.rows(), y.cols(), (row, from, n, worker) -> {
            int whole = F.loopBound(n);
            Place g = Place.of(gate, row, from);
            Place u = Place.of(up, row, from);
            Place to = Place.of(y, row, from);
            if (f32) {
                activateF32(g, u, to, whole);
            } else {
                activateBf16(g, u, to, whole);
            }
            if (whole < n) {
                activateRest(bench, worker, gate, up, y, row, from + whole, n - whole);
            }
        });
    }

    private static void activateF32(Place gate, Place up, Place y, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector g = f32(gate, i);
            g.mul(Lanes.sigmoid(g)).mul(f32(up, i)).intoMemorySegment(y.segment, y.at + 4L * i, LITTLE_ENDIAN);
        }
    }

    private static void activateBf16(Place gate, Place up, Place y, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector g = bf16(gate, i);
            FloatVector result = g.mul(Lanes.sigmoid(g)).mul(bf16(up, i));
            Lanes.narrow(result).intoMemorySegment(y.segment, y.at + 2L * i, LITTLE_ENDIAN);
        }
    }

    /** What is left of a row: less than a vector. */
    private static void activateRest(
            Workbench bench, int worker, TensorView gate, TensorView up, Tensor y, int row, int from, int n) {
        float[] g = bench.scratch.floats(worker, 0, Lanes.COUNT);
        float[] u = bench.scratch.floats(worker, 1, Lanes.COUNT);
        Rows.load(gate, row, from, n, g, 0);
        Rows.load(up, row, from, n, u, 0);
        FloatVector x = FloatVector.fromArray(F, g, 0);
        x.mul(Lanes.sigmoid(x)).mul(FloatVector.fromArray(F, u, 0)).intoArray(g, 0);
        Rows.store(g, 0, y, row, from, n);
    }

    /** dgate may be gate, dup may be up. */
    public static void backward(
            Workbench bench, TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        boolean f32 = dy.dtype() == DType.F32;
        bench.forChunks(dy.rows(), dy.cols(), (row, from, n, worker) -> {
            int whole = F.loopBound(n);
            Place d = Place.of(dy, row, from);
            Place g = Place.of(gate, row, from);
            Place u = Place.of(up, row, from);
            Place dg = Place.of(dgate, row, from);
            Place du = Place.of(dup, row, from);
            if (f32) {
                gradientsF32(d, g, u, dg, du, whole);
            } else {
                float[] sigmas = bench.scratch.floats(worker, 2, Workbench.CHUNK);
                sigmoidsBf16(g, sigmas, whole);
                gradientsBf16(sigmas, d, g, u, dg, du, whole);
            }
            if (whole < n) {
                gradientsOfRest(bench, worker, dy, gate, up, dgate, dup, row, from + whole, n - whole);
            }
        });
    }

    private static void gradientsF32(Place dy, Place gate, Place up, Place dgate, Place dup, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector g = f32(gate, i);
            FloatVector sigma = Lanes.sigmoid(g);
            FloatVector silu = g.mul(sigma);
            FloatVector d = f32(dy, i);
            d.mul(f32(up, i))
                    .mul(slope(silu, sigma))
                    .intoMemorySegment(dgate.segment, dgate.at + 4L * i, LITTLE_ENDIAN);
            d.mul(silu).intoMemorySegment(dup.segment, dup.at + 4L * i, LITTLE_ENDIAN);
        }
    }

    private static void sigmoidsBf16(Place gate, float[] sigmas, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            Lanes.sigmoid(bf16(gate, i)).intoArray(sigmas, i);
        }
    }

    private static void gradientsBf16(float[] sigmas, Place dy, Place gate, Place up, Place dgate, Place dup, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector sigma = FloatVector.fromArray(F, sigmas, i);
            FloatVector silu = bf16(gate, i).mul(sigma);
            FloatVector d = bf16(dy, i);
            Lanes.narrow(d.mul(bf16(up, i)).mul(slope(silu, sigma)))
                    .intoMemorySegment(dgate.segment, dgate.at + 2L * i, LITTLE_ENDIAN);
            Lanes.narrow(d.mul(silu)).intoMemorySegment(dup.segment, dup.at + 2L * i, LITTLE_ENDIAN);
        }
    }

    /** As {@link #activateRest}. */
    private static void gradientsOfRest(
            Workbench bench,
            int worker,
            TensorView dy,
            TensorView gate,
            TensorView up,
            Tensor dgate,
            Tensor dup,
            int row,
            int from,
            int n) {
        float[] g = bench.scratch.floats(worker, 0, Lanes.COUNT);
        float[] u = bench.scratch.floats(worker, 1, Lanes.COUNT);
        float[] d = bench.scratch.floats(worker, 2, Lanes.COUNT);
        Rows.load(gate, row, from, n, g, 0);
        Rows.load(up, row, from, n, u, 0);
        Rows.load(dy, row, from, n, d, 0);
        FloatVector x = FloatVector.fromArray(F, g, 0);
        FloatVector sigma = Lanes.sigmoid(x);
        FloatVector silu = x.mul(sigma);
        FloatVector dyVector = FloatVector.fromArray(F, d, 0);
        dyVector.mul(FloatVector.fromArray(F, u, 0)).mul(slope(silu, sigma)).intoArray(g, 0);
        dyVector.mul(silu).intoArray(u, 0);
        Rows.store(g, 0, dgate, row, from, n);
        Rows.store(u, 0, dup, row, from, n);
    }

    /** {@code σ (1 + g (1 - σ)) = σ + silu (1 - σ)}. */
    private static FloatVector slope(FloatVector silu, FloatVector sigma) {
        return silu.fma(sigma.neg().add(1f), sigma);
    }

    private static FloatVector f32(Place x, int i) {
        return FloatVector.fromMemorySegment(F, x.segment, x.at + 4L * i, LITTLE_ENDIAN);
    }

    private static FloatVector bf16(Place x, int i) {
        return Lanes.widen(ShortVector.fromMemorySegment(Lanes.SHORT, x.segment, x.at + 2L * i, LITTLE_ENDIAN));
    }

    /** Where a part of a row lies, in bytes. */
    private record Place(MemorySegment segment, long at) {
        static Place of(TensorView x, int row, int column) {
            return new Place(Rows.segment(x), Rows.offset(x, row, column));
        }
    }
}
