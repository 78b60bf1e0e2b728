package dev.graft.cpu.kernels;

import dev.graft.engine.AdamW;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** What is done to the flat float32 buffers [1, n] that hold all trained numbers: the gradient's norm and the AdamW step. */
public final class Optimizer {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    /** Chunks whose squares are summed up by one worker; the order of a sum depends on nothing else. */
    private static final int CHUNKS_PER_PARTIAL_SUM = 8;

    private static final int PARTIAL_SUM_ELEMENTS = CHUNKS_PER_PARTIAL_SUM * Workbench.CHUNK;

    private Optimizer() {}

    /** {@code result[0] = Σ x²}: float32 within a chunk, double from there on. */
    public static void sumOfSquares(Workbench bench, TensorView x, Tensor result) {
        int n = x.cols();
        int parts = Math.ceilDiv(n, PARTIAL_SUM_ELEMENTS);
        double[] sums = new double[parts];
        bench.forRows(parts, PARTIAL_SUM_ELEMENTS, (first, last, worker) -> {
            float[] chunk = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            for (int part = first; part < last; part++) {
                int end = (int) Math.min(n, (part + 1L) * PARTIAL_SUM_ELEMENTS);
                for (int from = part * PARTIAL_SUM_ELEMENTS; from < end; from += Workbench.CHUNK) {
                    int count = Math.min(Workbench.CHUNK, end - from);
                    Rows.load(x, 0, from, count, chunk, 0);
                    FloatRows.clearPadding(chunk, count);
                    sums[part] += FloatRows.dot(chunk, 0, chunk, count);
                }
            }
        });
        double sum = 0;
        for (double part : sums) {
            sum += part;
        }
        Rows.setFloat(result, 0, 0, (float) sum);
    }

    /** One step of {@link AdamW}; nothing where Σg² is not finite. */
    public static void adamW(
            Workbench bench,
            AdamW parameters,
            Tensor values,
            TensorView gradients,
            Tensor moment1,
            Tensor moment2,
            TensorView sumOfSquares) {
        float squares = Rows.getFloat(sumOfSquares, 0, 0);
        if (!Float.isFinite(squares)) {
            return;
        }
        Step step = Step.of(parameters, squares);
        bench.forChunks(1, values.cols(), (row, from, n, worker) -> {
            float[] p = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            float[] g = bench.scratch.floats(worker, 1, Workbench.CHUNK);
            float[] m = bench.scratch.floats(worker, 2, Workbench.CHUNK);
            float[] v = bench.scratch.floats(worker, 3, Workbench.CHUNK);
            Rows.load(values, row, from, n, p, 0);
            Rows.load(gradients, row, from, n, g, 0);
            Rows.load(moment1, row, from, n, m, 0);
            Rows.load(moment2, row, from, n, v, 0);
            step.apply(p, g, m, v, n);
            Rows.store(p, 0, values, row, from, n);
            Rows.store(m, 0, moment1, row, from, n);
            Rows.store(v, 0, moment2, row, from, n);
        });
    }

    /**
     * The numbers of a step, rounded to float32 once.
     *
     * @param clip multiplies the gradient: min(1, clipNorm / (‖g‖ + 1e-6))
     * @param decay 1 - lr λ
     * @param rate lr / (1 - β₁ᵗ)
     * @param root √(1 - β₂ᵗ)
     */
    private record Step(
            float clip,
            float decay,
            float beta1,
            float rest1,
            float beta2,
            float rest2,
            float rate,
            float root,
            float epsilon) {
        static Step of(AdamW a, float sumOfSquares) {
            double clip = a.clipNorm() == 0 ? 1 : Math.min(1, a.clipNorm() / (Math.sqrt(sumOfSquares) + 1e-6));
            return new Step(
                    (float) clip,
                    (float) (1 - a.learningRate() * a.weightDecay()),
                    (float) a.beta1(),
                    (float) (1 - a.beta1()),
                    (float) a.beta2(),
                    (float) (1 - a.beta2()),
                    (float) (a.learningRate() / (1 - StrictMath.pow(a.beta1(), a.step()))),
                    (float) Math.sqrt(1 - StrictMath.pow(a.beta2(), a.step())),
                    (float) a.epsilon());
        }

        void apply(float[] p, float[] g, float[] m, float[] v, int n) {
            for (int i = 0; i < n; i += Lanes.COUNT) {
                FloatVector gi = FloatVector.fromArray(F, g, i).mul(clip);
                FloatVector mi = FloatVector.fromArray(F, m, i).mul(beta1).add(gi.mul(rest1));
                FloatVector vi =
                        FloatVector.fromArray(F, v, i).mul(beta2).add(gi.mul(gi).mul(rest2));
                FloatVector denominator = vi.sqrt().div(root).add(epsilon);
                mi.intoArray(m, i);
                vi.intoArray(v, i);
                FloatVector.fromArray(F, p, i)
                        .mul(decay)
                        .sub(mi.div(denominator).mul(rate))
                        .intoArray(p, i);
            }
        }
    }
}
