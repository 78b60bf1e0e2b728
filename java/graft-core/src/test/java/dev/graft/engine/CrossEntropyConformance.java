package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#crossEntropy}. */
abstract class CrossEntropyConformance extends Conformance {
    private static final float GRAD_SCALE = 0.03f;

    static List<Arguments> cases() {
        int[][] sizes = {{1, 1}, {1, 13}, {3, 207}, {13, 4098}, {64, 13}, {207, 207}};
        List<Arguments> cases = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            for (Layout layout : Layout.values()) {
                for (int[] size : sizes) {
                    cases.add(Arguments.of(precision, layout, size[0], size[1]));
                }
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void lossAndGradient(Precision precision, Layout layout, int rows, int vocabulary) {
        DType dtype = compute(precision);
        Operand logits = fixture.input(DType.F32, logits(rows, vocabulary), layout);
        Operand losses = fixture.output(DType.F32, 1, rows, layout);
        Operand dlogits = fixture.output(dtype, rows, vocabulary, layout);
        int[] targets = targets(rows, vocabulary);
        TensorView index = fixture.integers(targets);

        fixture.run(() -> engine.crossEntropy(logits.tensor(), index, GRAD_SCALE, losses.tensor(), dlogits.tensor()));

        checkLosses(losses, logits.before(), targets);
        checkGradient(dlogits, logits.before(), targets);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void lossAlone(Precision precision, Layout layout, int rows, int vocabulary) {
        compute(precision);
        Operand logits = fixture.input(DType.F32, logits(rows, vocabulary), layout);
        Operand losses = fixture.output(DType.F32, 1, rows, layout);
        int[] targets = targets(rows, vocabulary);
        TensorView index = fixture.integers(targets);

        fixture.run(() -> engine.crossEntropy(logits.tensor(), index, GRAD_SCALE, losses.tensor(), null));

        checkLosses(losses, logits.before(), targets);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void gradientInPlace(Precision precision, Layout layout, int rows, int vocabulary) {
        compute(precision);
        Operand both = fixture.updated(DType.F32, logits(rows, vocabulary), layout);
        Operand losses = fixture.output(DType.F32, 1, rows, layout);
        int[] targets = targets(rows, vocabulary);
        TensorView index = fixture.integers(targets);

        fixture.run(() -> engine.crossEntropy(both.tensor(), index, GRAD_SCALE, losses.tensor(), both.tensor()));

        checkLosses(losses, both.before(), targets);
        checkGradient(both, both.before(), targets);
    }

    /** Rows with ±10⁴, with -inf for masked tokens, with all logits alike, and with one far above the rest. */
    @Test
    void hugeAndMaskedLogits() {
        int vocabulary = 67;
        Matrix logits = logits(5, vocabulary);
        int[] targets = {3, 64, 66, 0, 1};
        for (int i = 0; i < vocabulary; i++) {
            logits.set(0, i, i % 2 == 0 ? 1e4 : -1e4);
            logits.set(1, i, i % 3 == 1 ? logits.at(1, i) : Double.NEGATIVE_INFINITY);
            logits.set(2, i, i == 66 ? 0 : Double.NEGATIVE_INFINITY);
            logits.set(3, i, -1e4);
            logits.set(4, i, i == 1 ? 1e4 : 0);
        }
        Operand input = fixture.input(DType.F32, logits, Layout.PITCHED);
        Operand losses = fixture.output(DType.F32, 1, 5, Layout.PITCHED);
        Operand dlogits = fixture.output(DType.F32, 5, vocabulary, Layout.PITCHED);
        TensorView index = fixture.integers(targets);

        fixture.run(() -> engine.crossEntropy(input.tensor(), index, GRAD_SCALE, losses.tensor(), dlogits.tensor()));

        checkLosses(losses, input.before(), targets);
        checkGradient(dlogits, input.before(), targets);
        assertFinite(losses);
        assertFinite(dlogits);
    }

    private static void checkLosses(Operand losses, Matrix logits, int[] targets) {
        Matrix expected = ReferenceOps.crossEntropy(logits, targets);
        // a difference of numbers as large as the logits of the row, and a logarithm of the vocabulary
        double terms = Tolerance.sum(logits.cols());
        Matrix extra = Matrix.zeros(1, logits.rows());
        for (int row = 0; row < logits.rows(); row++) {
            Matrix finite = logits.rows(row, row + 1).map(x -> Double.isFinite(x) ? x : 0);
            extra.set(0, row, terms + 4 * Tolerance.unit(DType.F32) * Tolerance.largest(finite));
        }
        losses.assertClose("losses", expected, Tolerance.bound(DType.F32, expected, extra));
    }

    private static void checkGradient(Operand dlogits, Matrix logits, int[] targets) {
        Matrix expected = ReferenceOps.crossEntropyGradient(logits, targets, GRAD_SCALE);
        // relative to each probability: a row of 4098 small ones must be right in each; at the target p - 1 may cancel
        double relative = Tolerance.sum(logits.cols()) + 32 * Tolerance.unit(DType.F32);
        Matrix extra = expected.map(e -> relative * Math.abs(e) + Float.MIN_NORMAL);
        for (int row = 0; row < logits.rows(); row++) {
            extra.set(row, targets[row], relative * GRAD_SCALE);
        }
        dlogits.assertClose("dlogits", expected, Tolerance.bound(dlogits.dtype(), expected, extra));
    }

    private Matrix logits(int rows, int vocabulary) {
        return Matrix.of(rows, vocabulary, fixture.normal(DType.F32, rows * vocabulary))
                .scaled(3);
    }

    private int[] targets(int rows, int vocabulary) {
        int[] targets = new int[rows];
        for (int i = 0; i < rows; i++) {
            targets[i] = fixture.random(vocabulary);
        }
        targets[rows - 1] = vocabulary - 1;
        targets[rows / 2] = 0;
        return targets;
    }
}
