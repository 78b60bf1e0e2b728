package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#geluForward} and its backward. */
abstract class GeluConformance extends Conformance {
    /** An exponential, a polynomial and a few products in float32. */
    private static final double STEPS = Tolerance.sum(16);

    static List<Arguments> cases() {
        int[][] sizes = {{1, 1}, {1, 577}, {3, 2}, {13, 63}, {64, 48}, {207, 96}};
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
    void forwardAndBackward(Precision precision, Layout layout, int rows, int width) {
        DType dtype = compute(precision);
        Operand x = fixture.input(dtype, rows, width, layout);
        Operand dy = fixture.input(dtype, rows, width, layout);
        Operand y = fixture.output(dtype, rows, width, layout);
        Operand dx = fixture.output(dtype, rows, width, layout);

        fixture.run(() -> {
            engine.geluForward(x.tensor(), y.tensor());
            engine.geluBackward(dy.tensor(), x.tensor(), dx.tensor());
        });

        check(y, x.before());
        checkGradient(dx, dy.before(), x.before());
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardInPlace(Precision precision, Layout layout, int rows, int width) {
        DType dtype = compute(precision);
        Operand x = fixture.updated(dtype, rows, width, layout);
        Operand dy = fixture.input(dtype, rows, width, layout);

        fixture.run(() -> engine.geluBackward(dy.tensor(), x.tensor(), x.tensor()));

        checkGradient(x, dy.before(), x.before());
    }

    /** Where polynomials meet, where the distribution's tail is small, and where its square overflows. */
    @ParameterizedTest
    @EnumSource
    void everyMagnitude(Precision precision) {
        float[] values = {
            -1e30f, -1e4f, -200, -13, -9, -5, -2.84f, -2.82f, -1.42f, -1.41f, -1, -0.75f, -0.1f, -1e-4f, -1e-30f, 0,
            1e-30f, 1e-4f, 0.1f, 0.5f, 1, 1.41f, 1.42f, 2.82f, 2.84f, 5, 13, 200, 1e4f, 1e30f
        };
        DType dtype = compute(precision);
        Operand x = fixture.input(dtype, Matrix.of(1, values.length, values), Layout.PACKED);
        Operand dy = fixture.input(dtype, Matrix.zeros(1, values.length).map(zero -> 3), Layout.PACKED);
        Operand y = fixture.output(dtype, 1, values.length, Layout.PACKED);
        Operand dx = fixture.output(dtype, 1, values.length, Layout.PACKED);

        fixture.run(() -> {
            engine.geluForward(x.tensor(), y.tensor());
            engine.geluBackward(dy.tensor(), x.tensor(), dx.tensor());
        });

        check(y, x.before());
        checkGradient(dx, dy.before(), x.before());
    }

    /** Also small values of the tail are right in most of their digits; rounding x² / 2 there costs x² / 2 roundings of e^(-x² / 2). */
    private static double relative(double x) {
        return STEPS + x * x * Tolerance.unit(DType.F32);
    }

    private static void check(Operand y, Matrix x) {
        Matrix expected = ReferenceOps.gelu(x);
        Matrix extra = expected.combine(x, (e, value) -> e == 0 ? 0 : relative(value) * Math.abs(e));
        y.assertClose("y", expected, Tolerance.bound(y.dtype(), expected, extra));
    }

    /** {@code Φ(x) + x φ(x)} is 0 near x = -0.75: the error is relative to the magnitudes of its terms. */
    private static void checkGradient(Operand dx, Matrix dy, Matrix x) {
        Matrix expected = ReferenceOps.geluGradient(dy, x);
        Matrix extra = dy.combine(x, (d, value) -> {
            double terms = Normal.distribution(value) + Math.abs(value) * Normal.density(value);
            return terms == 0 ? 0 : Math.abs(d) * relative(value) * terms;
        });
        dx.assertClose("dx", expected, Tolerance.bound(dx.dtype(), expected, extra));
    }
}
