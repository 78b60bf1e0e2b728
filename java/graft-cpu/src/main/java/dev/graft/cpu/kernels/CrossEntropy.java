package dev.graft.cpu.kernels;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/**
 * Softmax cross-entropy by rows; logits F32 [M, V], targets I32 [1, M], losses F32 [1, M].
 *
 * <pre>
 *   loss    = ln Σ exp(logits) - logits[target]
 *   dlogits = gradScale · (softmax(logits) - onehot(target))
 * </pre>
 *
 * A row is read twice, a chunk at a time: once for its maximum and Σ exp(logit - maximum) together, the sum being rescaled where
 * the maximum grows (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018), once for the gradient.
 */
public final class CrossEntropy {
    private static final VectorSpecies<Float> F = Lanes.FLOAT;

    private CrossEntropy() {}

    /** dlogits may be null, or logits itself. */
    public static void run(
            Workbench bench,
            TensorView logits,
            TensorView targets,
            float gradScale,
            Tensor losses,
            @Nullable Tensor dlogits) {
        int vocabulary = logits.cols();
        bench.forRows(logits.rows(), vocabulary, (from, to, worker) -> {
            float[] chunk = bench.scratch.floats(worker, 0, Workbench.CHUNK);
            for (int m = from; m < to; m++) {
                int target = Indices.get("crossEntropy", targets, m, vocabulary);
                float targetLogit = Rows.getFloat(logits, m, target); // before dlogits may overwrite it
                Normalizer normalizer = normalizer(logits, m, chunk);
                Rows.setFloat(losses, 0, m, normalizer.loss(targetLogit));
                if (dlogits != null) {
                    gradient(logits, m, target, gradScale, normalizer, chunk, dlogits);
                }
            }
        });
    }

    /** Σ exp(logit - maximum) of a row. */
    private record Normalizer(float maximum, double sum) {
        float loss(float targetLogit) {
            return (float) (StrictMath.log(sum) + ((double) maximum - targetLogit));
        }
    }

    private static Normalizer normalizer(TensorView logits, int row, float[] chunk) {
        float maximum = Float.NEGATIVE_INFINITY;
        double sum = 0;
        for (int from = 0; from < logits.cols(); from += Workbench.CHUNK) {
            int n = Math.min(Workbench.CHUNK, logits.cols() - from);
            Rows.load(logits, row, from, n, chunk, 0);
            Arrays.fill(chunk, n, Lanes.roundUp(n), Float.NEGATIVE_INFINITY);
            float chunkMaximum = maximum(chunk, n);
            if (chunkMaximum > maximum) {
                sum *= StrictMath.exp((double) maximum - chunkMaximum);
                maximum = chunkMaximum;
            }
            // where all are -∞ nothing may be subtracted: -∞ - -∞ would be NaN
            sum += sumOfExp(chunk, maximum == Float.NEGATIVE_INFINITY ? 0 : maximum, n);
        }
        return new Normalizer(maximum, sum);
    }

    /** The largest that is not NaN; a NaN will show in the sum. */
    private static float maximum(float[] values, int n) {
        FloatVector most = FloatVector.broadcast(F, Float.NEGATIVE_INFINITY);
        for (int i = 0; i < n; i += Lanes.COUNT) {
            most = Lanes.larger(most, FloatVector.fromArray(F, values, i));
        }
        return most.reduceLanes(VectorOperators.MAX);
    }

    private static float sumOfExp(float[] values, float maximum, int n) {
        FloatVector sum = FloatVector.zero(F);
        for (int i = 0; i < n; i += Lanes.COUNT) {
            sum = sum.add(Lanes.exp(FloatVector.fromArray(F, values, i).sub(maximum)));
        }
        return Lanes.sum(sum);
    }

    private static void gradient(
            TensorView logits,
            int row,
            int target,
            float gradScale,
            Normalizer normalizer,
            float[] chunk,
            Tensor dlogits) {
        float factor = (float) (gradScale / normalizer.sum());
        for (int from = 0; from < logits.cols(); from += Workbench.CHUNK) {
            int n = Math.min(Workbench.CHUNK, logits.cols() - from);
            Rows.load(logits, row, from, n, chunk, 0);
            scaledExp(chunk, normalizer.maximum(), factor, n);
            if (target >= from && target < from + n) {
                chunk[target - from] -= gradScale;
            }
            Rows.store(chunk, 0, dlogits, row, from, n);
        }
    }

    private static void scaledExp(float[] values, float maximum, float factor, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            Lanes.exp(FloatVector.fromArray(F, values, i).sub(maximum))
                    .mul(factor)
                    .intoArray(values, i);
        }
    }
}
