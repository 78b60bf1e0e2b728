package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#rmsNormForward} and its backward. */
abstract class RmsNormConformance extends Conformance {
    private static final float EPSILON = 1e-5f;

    static List<Arguments> cases() {
        int[][] sizes = {{1, 1}, {1, 577}, {3, 2}, {13, 16}, {13, 63}, {64, 48}, {207, 96}, {2, 9001}, {2, 25_000}};
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
    void forward(Precision precision, Layout layout, int rows, int width) {
        DType dtype = compute(precision);
        Operand x = fixture.input(dtype, rows, width, layout);
        checkForward(x, layout, EPSILON);
    }

    private void checkForward(Operand x, Layout layout, float epsilon) {
        int rows = x.tensor().rows();
        int width = x.tensor().cols();
        Operand weight = fixture.input(x.dtype(), 1, width, layout);
        Operand y = fixture.output(x.dtype(), rows, width, layout);
        Operand rstd = fixture.output(DType.F32, 1, rows, layout);

        fixture.run(() -> engine.rmsNormForward(x.tensor(), weight.tensor(), epsilon, y.tensor(), rstd.tensor()));

        Matrix expectedRstd = ReferenceOps.rstd(x.before(), epsilon);
        Matrix expectedY = ReferenceOps.rmsNorm(x.before(), weight.before(), expectedRstd);
        // products and a sum of squares, all of one sign: the error is relative to each element
        double relative = Tolerance.sum(width);
        rstd.assertClose(
                "rstd",
                expectedRstd,
                Tolerance.bound(DType.F32, expectedRstd, expectedRstd.map(r -> relative * Math.abs(r))));
        y.assertClose(
                "y", expectedY, Tolerance.bound(y.dtype(), expectedY, expectedY.map(v -> relative * Math.abs(v))));
    }

    @Test
    void forwardOfZerosAndOfSmallAndLargeNumbersUsesEpsilon() {
        Matrix scales = Matrix.of(4, 1, new float[] {0, 1e-12f, 1e-2f, 1e12f});
        Matrix values = scales.times(Matrix.of(1, 33, fixture.normal(DType.F32, 33)));
        checkForward(fixture.input(DType.F32, values, Layout.PACKED), Layout.PACKED, 1e-6f);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardOverwrites(Precision precision, Layout layout, int rows, int width) {
        Backward backward = new Backward(compute(precision), layout, rows, width);
        Operand dx = fixture.output(backward.dtype, rows, width, layout);
        backward.run(backward.dy, dx, false, null);
        backward.check(dx, Matrix.zeros(rows, width));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardAccumulates(Precision precision, Layout layout, int rows, int width) {
        Backward backward = new Backward(compute(precision), layout, rows, width);
        Operand dx = fixture.updated(backward.dtype, rows, width, layout);
        Operand weightGradient = fixture.updated(DType.F32, 1, width, layout);
        backward.run(backward.dy, dx, true, weightGradient);
        backward.check(dx, dx.before());
        backward.checkWeight(weightGradient);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardInPlace(Precision precision, Layout layout, int rows, int width) {
        Backward backward = new Backward(compute(precision), layout, rows, width);
        Operand both = fixture.updated(backward.dtype, backward.dy.before(), layout);
        Operand weightGradient = fixture.updated(DType.F32, 1, width, layout);
        backward.run(both, both, false, weightGradient);
        backward.check(both, Matrix.zeros(rows, width));
        backward.checkWeight(weightGradient);
    }

    private final class Backward {
        final DType dtype;
        final Operand dy;
        private final Operand x;
        private final Operand weight;
        private final Operand rstd;
        private final ReferenceOps.NormGradients expected;

        Backward(DType dtype, Layout layout, int rows, int width) {
            this.dtype = dtype;
            dy = fixture.input(dtype, rows, width, layout);
            x = fixture.input(dtype, rows, width, layout);
            weight = fixture.input(dtype, 1, width, layout);
            rstd = fixture.input(DType.F32, ReferenceOps.rstd(x.before(), EPSILON), layout);
            expected = ReferenceOps.rmsNormBackward(dy.before(), x.before(), weight.before(), rstd.before());
        }

        void run(Operand outputGradient, Operand dx, boolean accumulate, @Nullable Operand weightGradient) {
            fixture.run(() -> engine.rmsNormBackward(
                    outputGradient.tensor(),
                    x.tensor(),
                    weight.tensor(),
                    rstd.tensor(),
                    dx.tensor(),
                    accumulate,
                    weightGradient == null ? null : weightGradient.tensor()));
        }

        void check(Operand dx, Matrix before) {
            // the two terms of dx may cancel: the error is relative to their magnitudes
            Matrix magnitude = magnitude().scaled(Tolerance.sum(x.tensor().cols()));
            Matrix result = expected.x().plus(before);
            dx.assertClose("dx", result, Tolerance.bound(dtype, result, magnitude));
        }

        private Matrix magnitude() {
            Matrix absolute = ReferenceOps.rmsNormBackward(
                            dy.before().map(Math::abs),
                            x.before().map(Math::abs),
                            weight.before().map(Math::abs),
                            rstd.before())
                    .x();
            // with absolute values that was r (g - x r² m); twice r g less it is r (g + x r² m)
            Matrix first = ReferenceOps.rmsNorm(dy.before(), weight.before(), rstd.before());
            return first.map(Math::abs).scaled(2).combine(absolute, (g, difference) -> g - difference);
        }

        void checkWeight(Operand weightGradient) {
            Matrix result = expected.weight().plus(weightGradient.before());
            int rows = x.tensor().rows();
            double scale = Math.max(Tolerance.largest(result), rows);
            weightGradient.assertClose(
                    "dw", result, Tolerance.bound(DType.F32, result, result.map(e -> Tolerance.sum(rows) * scale)));
        }
    }
}
