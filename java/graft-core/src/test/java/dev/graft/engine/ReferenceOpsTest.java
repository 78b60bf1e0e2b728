package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every backward of the reference against central differences of its forward, and AdamW against PyTorch. */
class ReferenceOpsTest {
    /** Central differences err by h² f‴/6 ≈ 1e-10 and by 2⁻⁵³ |f| / h ≈ 1e-10 of the result. */
    private static final double STEP = 1e-5;

    private static final double TOLERANCE = 1e-6;

    private final Random random = new Random(7);

    @Test
    void rmsNormBackwardIsTheGradient() {
        Matrix x = random(3, 7);
        Matrix weight = random(1, 7);
        Matrix dy = random(3, 7);
        double epsilon = 0.1;
        ReferenceOps.NormGradients gradients =
                ReferenceOps.rmsNormBackward(dy, x, weight, ReferenceOps.rstd(x, epsilon));

        checkGradient(
                x, gradients.x(), dy, moved -> ReferenceOps.rmsNorm(moved, weight, ReferenceOps.rstd(moved, epsilon)));
        checkGradient(
                weight, gradients.weight(), dy, moved -> ReferenceOps.rmsNorm(x, moved, ReferenceOps.rstd(x, epsilon)));
    }

    @Test
    void ropeInverseIsTheGradientAndTheInverse() {
        int headDim = 6;
        Matrix x = random(4, 3 * headDim);
        Matrix cosSin = cosSin(9, headDim);
        int[] positions = {0, 8, 3, 3};
        Matrix dy = random(4, 3 * headDim);

        Matrix dx = ReferenceOps.rope(dy, cosSin, positions, headDim, true);
        checkGradient(x, dx, dy, moved -> ReferenceOps.rope(moved, cosSin, positions, headDim, false));

        Matrix turned = ReferenceOps.rope(x, cosSin, positions, headDim, false);
        assertThat(turned.rows(0, 1).values())
                .as("position 0 does not turn")
                .isEqualTo(x.rows(0, 1).values());
        assertThat(ReferenceOps.rope(turned, cosSin, positions, headDim, true).values())
                .containsExactly(x.values(), within(1e-12));
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 0", "4, 2, 0", "6, 2, 2", "4, 4, 3"})
    void attentionBackwardIsTheGradient(int heads, int keyValueHeads, int window) {
        AttentionShape shape = new AttentionShape(heads, keyValueHeads, 3, 0.7f, window);
        // one ordinary sequence, an empty one, queries at the end of a longer key cache, one before the others
        Sequences sequences = new Sequences(
                new int[] {1, 4, 4, 0}, new int[] {3, 0, 2, 1}, new int[] {1, 0, 4, 0}, new int[] {3, 0, 5, 1});
        Matrix q = random(6, heads * 3);
        Matrix k = random(9, keyValueHeads * 3);
        Matrix v = random(9, keyValueHeads * 3);
        Matrix dO = random(6, heads * 3);

        ReferenceAttention.Output output = ReferenceAttention.forward(shape, sequences, q, k, v);
        ReferenceAttention.Gradients gradients =
                ReferenceAttention.backward(shape, sequences, q, k, v, output.o(), output.logSumExp(), dO);

        checkGradient(
                q,
                gradients.q(),
                dO,
                moved -> ReferenceAttention.forward(shape, sequences, moved, k, v)
                        .o());
        checkGradient(
                k,
                gradients.k(),
                dO,
                moved -> ReferenceAttention.forward(shape, sequences, q, moved, v)
                        .o());
        checkGradient(
                v,
                gradients.v(),
                dO,
                moved -> ReferenceAttention.forward(shape, sequences, q, k, moved)
                        .o());
    }

    @Test
    void attentionOfOneKeyIsItsValue() {
        AttentionShape shape = new AttentionShape(2, 1, 4, 0.5f, 1);
        Sequences sequences = Sequences.packed(3);
        Matrix v = random(3, 4);
        Matrix o = ReferenceAttention.forward(shape, sequences, random(3, 8), random(3, 4), v)
                .o();
        for (int row = 0; row < 3; row++) {
            for (int column = 0; column < 8; column++) {
                assertThat(o.at(row, column)).isCloseTo(v.at(row, column % 4), within(1e-12));
            }
        }
    }

    @Test
    void swigluBackwardIsTheGradient() {
        Matrix gate = random(3, 5);
        Matrix up = random(3, 5);
        Matrix dy = random(3, 5);
        checkGradient(gate, ReferenceOps.swigluGateGradient(dy, gate, up), dy, moved -> ReferenceOps.swiglu(moved, up));
        checkGradient(up, ReferenceOps.swigluUpGradient(dy, gate), dy, moved -> ReferenceOps.swiglu(gate, moved));
    }

    @Test
    void geluBackwardIsTheGradient() {
        Matrix x = random(3, 5);
        Matrix dy = random(3, 5);
        checkGradient(x, ReferenceOps.geluGradient(dy, x), dy, ReferenceOps::gelu);
    }

    /** Values of {@code torch.nn.functional.gelu} in float64. */
    @Test
    void geluIsTheExactOne() {
        Matrix x = Matrix.of(1, 5, new float[] {-3, -0.75f, 0, 0.5f, 4});
        double[] expected = {-0.00404969409489031, -0.16997051428265111, 0, 0.34573123063700656, 3.9998733150326675};
        assertThat(ReferenceOps.gelu(x).values()).containsExactly(expected, within(1e-15));
    }

    @ParameterizedTest
    @ValueSource(floats = {0, 0.4f})
    void linearBackwardIsTheGradient(float dropout) {
        int inputs = 5;
        int outputs = 4;
        Matrix x = random(6, inputs);
        Matrix weight = random(outputs, inputs);
        Matrix bias = random(1, outputs);
        Matrix residual = random(6, outputs);
        Matrix dy = random(6, outputs);
        // rows 0 and 5 belong to no adapter
        List<ReferenceLinear.Lora> terms =
                List.of(lora(1, 3, 2, inputs, outputs, 0.5, dropout), lora(3, 5, 3, inputs, outputs, 2, dropout));

        Matrix dx = ReferenceLinear.inputGradient(weight, dy);
        for (int i = 0; i < terms.size(); i++) {
            ReferenceLinear.Lora lora = terms.get(i);
            ReferenceLinear.LoraGradients gradients =
                    ReferenceLinear.loraBackward(x, lora, ReferenceLinear.loraHidden(x, lora), dy);
            dx.addRows(lora.fromRow(), gradients.x());
            int term = i;
            checkGradient(
                    lora.a(),
                    gradients.a(),
                    dy,
                    moved -> ReferenceLinear.forward(x, weight, bias, with(terms, term, moved, lora.b()), residual));
            checkGradient(
                    lora.b(),
                    gradients.b(),
                    dy,
                    moved -> ReferenceLinear.forward(x, weight, bias, with(terms, term, lora.a(), moved), residual));
        }
        checkGradient(x, dx, dy, moved -> ReferenceLinear.forward(moved, weight, bias, terms, residual));
        checkGradient(
                weight,
                ReferenceLinear.weightGradient(x, dy),
                dy,
                moved -> ReferenceLinear.forward(x, moved, bias, terms, residual));
        checkGradient(bias, dy.columnSums(), dy, moved -> ReferenceLinear.forward(x, weight, moved, terms, residual));
    }

    @Test
    void dropoutKeepsTheMean() {
        Matrix ones = Matrix.zeros(100, 200).map(zero -> 1);
        ReferenceLinear.Lora lora = new ReferenceLinear.Lora(
                0, 100, Matrix.zeros(1, 200), Matrix.zeros(1, 1), 1, new Dropout(0.25f, 1, 2, 3));
        double[] mask = ReferenceLinear.mask(ones, lora).values();
        assertThat(Arrays.stream(mask).distinct().sorted().toArray()).containsExactly(0, 1 / 0.75);
        // the mean of 20,000 values of standard deviation √(p / (1 - p)) = 0.58
        assertThat(Arrays.stream(mask).average().orElseThrow()).isCloseTo(1, within(5 * 0.58 / Math.sqrt(20_000)));
    }

    @Test
    void crossEntropyBackwardIsTheGradient() {
        Matrix logits = random(4, 6);
        int[] targets = {5, 0, 2, 2};
        double gradScale = 0.3;
        Matrix dLosses = Matrix.zeros(1, 4).map(zero -> gradScale);
        checkGradient(
                logits,
                ReferenceOps.crossEntropyGradient(logits, targets, gradScale),
                dLosses,
                moved -> ReferenceOps.crossEntropy(moved, targets));
    }

    @Test
    void scatterAddIsTheGradientOfGather() {
        Matrix table = random(5, 3);
        int[] index = {4, 0, 4, 1};
        Matrix dy = random(4, 3);
        checkGradient(
                table,
                ReferenceOps.scatterAddRows(dy, index, Matrix.zeros(5, 3)),
                dy,
                moved -> ReferenceOps.gatherRows(moved, index));
    }

    /** Three steps of torch.optim.AdamW 2.13 in float64 with clip_grad_norm_(1.0); in the third nothing is clipped. */
    @Test
    void adamWGivesPyTorchsNumbers() {
        double[] values = {1, -2, 0.5, 3};
        double[] moment1 = new double[4];
        double[] moment2 = new double[4];
        double[][] gradients = {{0.5, -1, 2, 0}, {-3, 0.25, 1, 4}, {0.01, 0.02, -0.03, 0}};
        double[][] expected = {
            {0.9890000004582578, -1.988000000229129, 0.48950000011456446, 2.997},
            {0.9926557777060294, -1.9801834060106633, 0.4808425101722154, 2.9865616318986086},
            {0.9951511384066094, -1.9739932794176285, 0.4742656586398398, 2.9778228711802894}
        };
        for (int step = 1; step <= 3; step++) {
            double[] g = gradients[step - 1];
            AdamW adamW = new AdamW(0.01, 0.9, 0.999, 1e-8, 0.1, step, 1.0);
            ReferenceOps.adamW(adamW, values, g, moment1, moment2, ReferenceOps.sumOfSquares(g));
            assertThat(values).containsExactly(expected[step - 1], within(1e-12));
        }
        assertThat(moment1)
                .containsExactly(
                        new double[] {
                            -0.03421217578789107, -0.02894396469110572, 0.0853318379735735, 0.07051708957696547
                        },
                        within(1e-12));
        assertThat(moment2)
                .containsExactly(
                        new double[] {
                            0.0003926020977775618, 0.0001928909451573446, 0.0007996119708057867, 0.0006132947237633792
                        },
                        within(1e-12));
    }

    /** The first outputs of SplitMix64 with seed 0, as published with its source (Vigna, splitmix64.c). */
    @Test
    void fingerprintIsASumOfSplitMixOutputs() {
        assertThat(ReferenceOps.fingerprint(new byte[0])).isZero();
        assertThat(ReferenceOps.fingerprint(new byte[8])).isEqualTo(0xE220A8397B1DCDAFL);
        assertThat(ReferenceOps.fingerprint(new byte[16])).isEqualTo(0xE220A8397B1DCDAFL + 0x6E789E6AA1B965F4L);
        assertThat(ReferenceOps.fingerprint(new byte[] {1, 2, 3}))
                .as("the tail is padded with zeros")
                .isEqualTo(ReferenceOps.fingerprint(new byte[] {1, 2, 3, 0, 0, 0, 0, 0}))
                .isNotEqualTo(ReferenceOps.fingerprint(new byte[] {3, 2, 1}));
    }

    /** {@code gradient} against central differences of {@code Σ function(at) · outputGradient}. */
    private static void checkGradient(
            Matrix at, Matrix gradient, Matrix outputGradient, UnaryOperator<Matrix> function) {
        double scale = Arrays.stream(gradient.values()).map(Math::abs).max().orElseThrow();
        assertThat(scale).isPositive();
        for (int i = 0; i < at.values().length; i++) {
            double up = sum(function.apply(moved(at, i, STEP)), outputGradient);
            double down = sum(function.apply(moved(at, i, -STEP)), outputGradient);
            assertThat(gradient.values()[i])
                    .as("element %d", i)
                    .isCloseTo((up - down) / (2 * STEP), within(TOLERANCE * scale));
        }
    }

    private static Matrix moved(Matrix matrix, int index, double distance) {
        Matrix result = matrix.rows(0, matrix.rows());
        result.values()[index] += distance;
        return result;
    }

    private static double sum(Matrix output, Matrix gradient) {
        return Arrays.stream(output.combine(gradient, (y, dy) -> y * dy).values())
                .sum();
    }

    private ReferenceLinear.Lora lora(
            int from, int to, int rank, int inputs, int outputs, double scale, float probability) {
        @Nullable Dropout dropout = probability == 0 ? null : new Dropout(probability, 11, 3, from);
        return new ReferenceLinear.Lora(from, to, random(rank, inputs), random(outputs, rank), scale, dropout);
    }

    private static List<ReferenceLinear.Lora> with(List<ReferenceLinear.Lora> terms, int index, Matrix a, Matrix b) {
        List<ReferenceLinear.Lora> result = new ArrayList<>(terms);
        ReferenceLinear.Lora old = terms.get(index);
        result.set(index, new ReferenceLinear.Lora(old.fromRow(), old.toRow(), a, b, old.scale(), old.dropout()));
        return result;
    }

    private static Matrix cosSin(int positions, int headDim) {
        Matrix table = Matrix.zeros(positions, headDim);
        for (int position = 0; position < positions; position++) {
            for (int i = 0; i < headDim / 2; i++) {
                double angle = position * Math.pow(100, -2.0 * i / headDim);
                table.set(position, i, Math.cos(angle));
                table.set(position, headDim / 2 + i, Math.sin(angle));
            }
        }
        return table;
    }

    private Matrix random(int rows, int cols) {
        return Matrix.zeros(rows, cols).map(zero -> random.nextGaussian());
    }
}
