package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
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

    private Swiglu() {}

    public static void forward(Workbench bench, TensorView gate, TensorView up, Tensor y) {
        bench.forChunks(y.rows(), y.cols(), (row, from, n, worker) -> {
            float[] g = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] u = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            Rows.load(gate, row, from, n, g, 0);
            Rows.load(up, row, from, n, u, 0);
            activate(g, u, n);
            Rows.store(g, 0, y, row, from, n);
        });
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
        bench.forChunks(dy.rows(), dy.cols(), (row, from, n, worker) -> {
            float[] g = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] u = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            float[] d = bench.scratch.floats(worker, 2, Workbench.CHUNK);
            Rows.load(gate, row, from, n, g, 0);
            Rows.load(up, row, from, n, u, 0);
            Rows.load(dy, row, from, n, d, 0);
            gradients(g, u, d, n);
            Rows.store(g, 0, dgate, row, from, n);
            Rows.store(u, 0, dup, row, from, n);
        });
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
