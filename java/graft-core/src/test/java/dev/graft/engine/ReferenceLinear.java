package dev.graft.engine;

import dev.graft.common.Philox;
import dev.graft.common.RandomPurpose;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Linear layers with LoRA in float64, straight from the formulas of {@link Engine}: the executable specification. */
public final class ReferenceLinear {
    private ReferenceLinear() {}

    /** One adapter over rows [fromRow, toRow); see {@link LoraTerm}. */
    public record Lora(
            int fromRow,
            int toRow,
            Matrix a,
            Matrix b,
            double scale,
            @Nullable Dropout dropout) {}

    /** What {@link #loraBackward} gives: dx for the adapter's rows, dA, dB. */
    public record LoraGradients(Matrix x, Matrix a, Matrix b) {}

    /** {@code x Wᵀ + bias}. */
    public static Matrix forward(Matrix x, Matrix weight, @Nullable Matrix bias) {
        Matrix y = x.times(weight.transposed());
        if (bias != null) {
            for (int row = 0; row < y.rows(); row++) {
                y.addRows(row, bias);
            }
        }
        return y;
    }

    /** {@code dy W}. */
    public static Matrix inputGradient(Matrix weight, Matrix dy) {
        return dy.times(weight);
    }

    /** {@code dyᵀ x}. */
    public static Matrix weightGradient(Matrix x, Matrix dy) {
        return dy.transposed().times(x);
    }

    /** {@code h = s dropout(x) Aᵀ} of the adapter's rows. */
    public static Matrix loraHidden(Matrix x, Lora lora) {
        return dropout(x, lora).times(lora.a.transposed()).scaled(lora.scale);
    }

    /** {@code h Bᵀ}: what is added to y in the adapter's rows. */
    public static Matrix loraForward(Matrix hidden, Lora lora) {
        return hidden.times(lora.b.transposed());
    }

    /**
     * With {@code u = s dy B}: {@code dx = dropoutᵀ(u A)}, {@code dA = uᵀ dropout(x)}, {@code dB = dyᵀ h}.
     *
     * @param x all rows
     * @param hidden h of the forward pass, the adapter's rows
     * @param dy all rows
     */
    public static LoraGradients loraBackward(Matrix x, Lora lora, Matrix hidden, Matrix dy) {
        Matrix ownDy = dy.rows(lora.fromRow, lora.toRow);
        Matrix u = ownDy.times(lora.b).scaled(lora.scale);
        Matrix droppedX = dropout(x, lora);
        Matrix dx = u.times(lora.a).combine(mask(x, lora), (gradient, factor) -> gradient * factor);
        return new LoraGradients(
                dx, u.transposed().times(droppedX), ownDy.transposed().times(hidden));
    }

    /** y of a whole layer. */
    public static Matrix forward(
            Matrix x, Matrix weight, @Nullable Matrix bias, List<Lora> terms, @Nullable Matrix residual) {
        Matrix y = forward(x, weight, bias);
        for (Lora lora : terms) {
            y.addRows(lora.fromRow, loraForward(loraHidden(x, lora), lora));
        }
        return residual == null ? y : y.plus(residual);
    }

    /** {@code dropout(x)}, rows counted from the first. */
    public static Matrix dropout(Matrix x, Dropout dropout) {
        Matrix nothing = Matrix.zeros(0, x.cols());
        return dropout(x, new Lora(0, x.rows(), nothing, nothing, 1, dropout));
    }

    private static Matrix dropout(Matrix x, Lora lora) {
        return x.rows(lora.fromRow, lora.toRow).combine(mask(x, lora), (value, factor) -> value * factor);
    }

    /** What dropout multiplies each element of the adapter's rows by: 0 or 1 / (1 - p). */
    static Matrix mask(Matrix x, Lora lora) {
        Matrix mask = Matrix.zeros(lora.toRow - lora.fromRow, x.cols());
        Dropout dropout = lora.dropout;
        if (dropout == null) {
            return mask.map(zero -> 1);
        }
        Philox philox = new Philox(dropout.seed());
        int[] words = new int[4];
        for (int at = 0; at < mask.values().length; at++) {
            long i = (long) lora.fromRow * x.cols() + at;
            if (at == 0 || i % 4 == 0) {
                philox.words((int) (i / 4), dropout.step(), dropout.stream(), RandomPurpose.DROPOUT.word(), words);
            }
            boolean kept = Philox.toUniform(words[(int) (i % 4)]) >= dropout.probability();
            mask.values()[at] = kept ? 1 / (1 - (double) dropout.probability()) : 0;
        }
        return mask;
    }
}
