package dev.graft.engine;

import java.util.Arrays;

/**
 * The small operations in float64, straight from the formulas of {@link Engine}: the executable specification, with
 * {@link ReferenceLinear} and {@link ReferenceAttention}. Plain before fast.
 */
public final class ReferenceOps {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private ReferenceOps() {}

    // ---- rows by index

    /** {@code y[i] = table[index[i]]}. */
    public static Matrix gatherRows(Matrix table, int[] index) {
        Matrix y = Matrix.zeros(index.length, table.cols());
        for (int i = 0; i < index.length; i++) {
            y.addRows(i, table.rows(index[i], index[i] + 1));
        }
        return y;
    }

    /** {@code table[index[i]] += y[i]}; returns the new table. */
    public static Matrix scatterAddRows(Matrix y, int[] index, Matrix table) {
        Matrix result = table.rows(0, table.rows());
        for (int i = 0; i < index.length; i++) {
            result.addRows(index[i], y.rows(i, i + 1));
        }
        return result;
    }

    // ---- RMSNorm

    /** [1, M]: {@code 1 / √(mean(x²) + ε)}. */
    public static Matrix rstd(Matrix x, double epsilon) {
        Matrix rstd = Matrix.zeros(1, x.rows());
        for (int row = 0; row < x.rows(); row++) {
            double squares = 0;
            for (int i = 0; i < x.cols(); i++) {
                squares += x.at(row, i) * x.at(row, i);
            }
            rstd.set(0, row, 1 / Math.sqrt(squares / x.cols() + epsilon));
        }
        return rstd;
    }

    /** {@code x · rstd · w}. */
    public static Matrix rmsNorm(Matrix x, Matrix weight, Matrix rstd) {
        Matrix y = Matrix.zeros(x.rows(), x.cols());
        for (int row = 0; row < x.rows(); row++) {
            for (int i = 0; i < x.cols(); i++) {
                y.set(row, i, x.at(row, i) * rstd.at(0, row) * weight.at(0, i));
            }
        }
        return y;
    }

    /** dx and dw of {@link #rmsNorm}. */
    public record NormGradients(Matrix x, Matrix weight) {}

    /** With {@code g = dy · w}: {@code dx = rstd · (g - x · rstd² · mean(g · x))}, {@code dw = Σ dy · x · rstd}. */
    public static NormGradients rmsNormBackward(Matrix dy, Matrix x, Matrix weight, Matrix rstd) {
        NormGradients gradients = new NormGradients(Matrix.zeros(x.rows(), x.cols()), Matrix.zeros(1, x.cols()));
        for (int row = 0; row < x.rows(); row++) {
            double r = rstd.at(0, row);
            double mean = 0;
            for (int i = 0; i < x.cols(); i++) {
                mean += dy.at(row, i) * weight.at(0, i) * x.at(row, i) / x.cols();
            }
            for (int i = 0; i < x.cols(); i++) {
                double g = dy.at(row, i) * weight.at(0, i);
                gradients.x.set(row, i, r * (g - x.at(row, i) * r * r * mean));
                gradients.weight.add(0, i, dy.at(row, i) * x.at(row, i) * r);
            }
        }
        return gradients;
    }

    // ---- rotary positions

    /** {@code x₁ ← x₁ cos - x₂ sin}, {@code x₂ ← x₂ cos + x₁ sin}; the inverse turns by the opposite angle. */
    public static Matrix rope(Matrix x, Matrix cosSin, int[] positions, int headDim, boolean inverse) {
        Matrix result = Matrix.zeros(x.rows(), x.cols());
        int half = headDim / 2;
        for (int row = 0; row < x.rows(); row++) {
            for (int head = 0; head < x.cols(); head += headDim) {
                for (int i = 0; i < half; i++) {
                    double cos = cosSin.at(positions[row], i);
                    double sin = (inverse ? -1 : 1) * cosSin.at(positions[row], half + i);
                    double first = x.at(row, head + i);
                    double second = x.at(row, head + half + i);
                    result.set(row, head + i, first * cos - second * sin);
                    result.set(row, head + half + i, second * cos + first * sin);
                }
            }
        }
        return result;
    }

    // ---- SwiGLU

    /** {@code silu(gate) · up}. */
    public static Matrix swiglu(Matrix gate, Matrix up) {
        return gate.combine(up, (g, u) -> g * sigmoid(g) * u);
    }

    /** {@code dgate = dy · up · σ(g) (1 + g (1 - σ(g)))}. */
    public static Matrix swigluGateGradient(Matrix dy, Matrix gate, Matrix up) {
        return dy.combine(up, (d, u) -> d * u).combine(gate, (du, g) -> du * sigmoid(g) * (1 + g * (1 - sigmoid(g))));
    }

    /** {@code dup = dy · silu(g)}. */
    public static Matrix swigluUpGradient(Matrix dy, Matrix gate) {
        return dy.combine(gate, (d, g) -> d * g * sigmoid(g));
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    // ---- GELU

    /** {@code x Φ(x)}. */
    public static Matrix gelu(Matrix x) {
        return x.map(value -> value * Normal.distribution(value));
    }

    /** {@code dx = dy (Φ(x) + x φ(x))}. */
    public static Matrix geluGradient(Matrix dy, Matrix x) {
        return dy.combine(x, (d, value) -> d * (Normal.distribution(value) + value * Normal.density(value)));
    }

    // ---- loss

    /** [1, M]: {@code ln Σ exp(logits) - logits[target]}. */
    public static Matrix crossEntropy(Matrix logits, int[] targets) {
        Matrix losses = Matrix.zeros(1, logits.rows());
        for (int row = 0; row < logits.rows(); row++) {
            losses.set(0, row, logSumExp(logits, row) - logits.at(row, targets[row]));
        }
        return losses;
    }

    /** {@code gradScale · (softmax(logits) - onehot(target))}. */
    public static Matrix crossEntropyGradient(Matrix logits, int[] targets, double gradScale) {
        Matrix gradient = Matrix.zeros(logits.rows(), logits.cols());
        for (int row = 0; row < logits.rows(); row++) {
            double logSumExp = logSumExp(logits, row);
            for (int i = 0; i < logits.cols(); i++) {
                double onehot = i == targets[row] ? 1 : 0;
                gradient.set(row, i, gradScale * (Math.exp(logits.at(row, i) - logSumExp) - onehot));
            }
        }
        return gradient;
    }

    private static double logSumExp(Matrix logits, int row) {
        return ReferenceAttention.logSumExp(logits.rows(row, row + 1).values());
    }

    // ---- optimizer

    public static double sumOfSquares(double[] x) {
        return Arrays.stream(x).map(value -> value * value).sum();
    }

    /** One step over values and moments, in place; nothing where {@code sumOfSquares} is not finite. */
    public static void adamW(
            AdamW p, double[] values, double[] gradients, double[] moment1, double[] moment2, double sumOfSquares) {
        if (!Double.isFinite(sumOfSquares)) {
            return;
        }
        double clip = p.clipNorm() == 0 ? 1 : Math.min(1, p.clipNorm() / (Math.sqrt(sumOfSquares) + 1e-6));
        double correction1 = 1 - Math.pow(p.beta1(), p.step());
        double correction2 = 1 - Math.pow(p.beta2(), p.step());
        for (int i = 0; i < values.length; i++) {
            double g = clip * gradients[i];
            moment1[i] = p.beta1() * moment1[i] + (1 - p.beta1()) * g;
            moment2[i] = p.beta2() * moment2[i] + (1 - p.beta2()) * g * g;
            double decayed = values[i] * (1 - p.learningRate() * p.weightDecay());
            double denominator = Math.sqrt(moment2[i]) / Math.sqrt(correction2) + p.epsilon();
            values[i] = decayed - p.learningRate() / correction1 * moment1[i] / denominator;
        }
    }

    // ---- fingerprint

    /** Σ mix(wᵢ + (i + 1) · 0x9E3779B97F4A7C15) mod 2⁶⁴ over little-endian 8-byte words, the last padded with zeros. */
    public static long fingerprint(byte[] bytes) {
        long sum = 0;
        for (int word = 0; word * 8 < bytes.length; word++) {
            long value = 0;
            for (int i = 0; i < 8 && word * 8 + i < bytes.length; i++) {
                value |= (bytes[word * 8 + i] & 0xffL) << (8 * i);
            }
            sum += splitMix(value + (word + 1) * GOLDEN);
        }
        return sum;
    }

    private static long splitMix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
