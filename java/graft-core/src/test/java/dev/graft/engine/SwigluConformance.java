package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#swigluForward} and its backward. */
abstract class SwigluConformance extends Conformance {
    /** An exponential, a quotient and a few products in float32. */
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
        Operand gate = fixture.input(dtype, rows, width, layout);
        Operand up = fixture.input(dtype, rows, width, layout);
        Operand dy = fixture.input(dtype, rows, width, layout);
        Operand y = fixture.output(dtype, rows, width, layout);
        Operand dgate = fixture.output(dtype, rows, width, layout);
        Operand dup = fixture.output(dtype, rows, width, layout);

        fixture.run(() -> {
            engine.swigluForward(gate.tensor(), up.tensor(), y.tensor());
            engine.swigluBackward(dy.tensor(), gate.tensor(), up.tensor(), dgate.tensor(), dup.tensor());
        });

        check("y", y, ReferenceOps.swiglu(gate.before(), up.before()));
        checkGateGradient(dgate, dy.before(), gate.before(), up.before());
        check("dup", dup, ReferenceOps.swigluUpGradient(dy.before(), gate.before()));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardInPlace(Precision precision, Layout layout, int rows, int width) {
        DType dtype = compute(precision);
        Operand gate = fixture.updated(dtype, rows, width, layout);
        Operand up = fixture.updated(dtype, rows, width, layout);
        Operand dy = fixture.input(dtype, rows, width, layout);

        fixture.run(() -> engine.swigluBackward(dy.tensor(), gate.tensor(), up.tensor(), gate.tensor(), up.tensor()));

        checkGateGradient(gate, dy.before(), gate.before(), up.before());
        check("dup", up, ReferenceOps.swigluUpGradient(dy.before(), gate.before()));
    }

    /** e⁻ᵍ overflows float32 from g = -89 on. */
    @ParameterizedTest
    @EnumSource
    void extremeGatesGiveNoNaN(Precision precision) {
        DType dtype = compute(precision);
        float[] gates = {-1e30f, -1e4f, -200, -89, -88, -50, -17, 0, 17, 50, 88, 89, 200, 1e4f};
        Operand gate = fixture.input(dtype, Matrix.of(1, gates.length, gates), Layout.PACKED);
        Operand up = fixture.input(dtype, Matrix.zeros(1, gates.length).map(zero -> 3), Layout.PACKED);
        Operand y = fixture.output(dtype, 1, gates.length, Layout.PACKED);
        Operand dgate = fixture.output(dtype, 1, gates.length, Layout.PACKED);
        Operand dup = fixture.output(dtype, 1, gates.length, Layout.PACKED);

        fixture.run(() -> {
            engine.swigluForward(gate.tensor(), up.tensor(), y.tensor());
            engine.swigluBackward(up.tensor(), gate.tensor(), up.tensor(), dgate.tensor(), dup.tensor());
        });

        // beyond g = -87 the exponential is near the ends of float32, where small results may come out as 0
        checkEach("y", y, ReferenceOps.swiglu(gate.before(), up.before()));
        checkEach("dgate", dgate, ReferenceOps.swigluGateGradient(up.before(), gate.before(), up.before()));
        checkEach("dup", dup, ReferenceOps.swigluUpGradient(up.before(), gate.before()));
    }

    private static void check(String what, Operand actual, Matrix expected) {
        Matrix extra = expected.map(e -> STEPS * Math.abs(e));
        actual.assertClose(what, expected, Tolerance.bound(actual.dtype(), expected, extra));
    }

    /** {@code 1 + g (1 - σ(g))} is 0 near g = -1.28: the error is relative to the magnitudes of its terms. */
    private static void checkGateGradient(Operand actual, Matrix dy, Matrix gate, Matrix up) {
        Matrix expected = ReferenceOps.swigluGateGradient(dy, gate, up);
        Matrix extra =
                dy.combine(up, (d, u) -> Math.abs(d * u)).combine(gate, (du, g) -> STEPS * du * (1 + Math.abs(g)));
        actual.assertClose("dgate", expected, Tolerance.bound(actual.dtype(), expected, extra));
    }

    private static void checkEach(String what, Operand actual, Matrix expected) {
        Matrix extra = expected.map(e -> 1e-30 + 16 * STEPS * Math.abs(e));
        actual.assertClose(what, expected, Tolerance.bound(actual.dtype(), expected, extra));
    }
}
