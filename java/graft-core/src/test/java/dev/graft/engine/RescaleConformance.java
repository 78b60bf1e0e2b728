package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#rowNorms}, {@link Engine#rescaleForward} and its backward, {@link Engine#dropout}. */
abstract class RescaleConformance extends Conformance {
    /** A quotient and a few products and sums in float32. */
    private static final double STEPS = Tolerance.sum(8);

    // ---- row norms

    static List<Arguments> weights() {
        int[][] sizes = {{1, 1, 1}, {5, 577, 3}, {63, 13, 8}, {7, 64, 16}, {3, 1100, 40}, {66, 130, 5}};
        List<Arguments> cases = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            for (Layout layout : Layout.values()) {
                for (int[] size : sizes) {
                    cases.add(Arguments.of(precision, layout, size[0], size[1], size[2]));
                }
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("weights")
    void rowNormsOfAdaptedWeights(Precision precision, Layout layout, int outputs, int inputs, int rank) {
        Operand weight = fixture.input(compute(precision), outputs, inputs, layout);
        Operand a = fixture.input(DType.F32, rank, inputs, layout);
        Operand b = fixture.input(DType.F32, outputs, rank, layout);
        checkRowNorms(weight, a, b, layout);
    }

    /** With W0 = -s B A but for a small rest: a norm from ‖W0‖² + 2 s B (A W0ᵀ) + … would keep few of its digits. */
    @ParameterizedTest
    @EnumSource
    void rowNormsWhereTheAdapterTakesAwayMostOfTheWeight(Layout layout) {
        Operand a = fixture.input(DType.F32, 3, 130, layout);
        Operand b = fixture.input(DType.F32, 9, 3, layout);
        Matrix small = Matrix.of(9, 130, fixture.normal(DType.F32, 9 * 130)).scaled(1e-3);
        Matrix opposite = b.before().times(a.before()).scaled(-SCALE).plus(small);
        Operand weight = fixture.input(DType.F32, opposite, layout);
        checkRowNorms(weight, a, b, layout);
    }

    private static final float SCALE = 1.5f;

    private void checkRowNorms(Operand weight, Operand a, Operand b, Layout layout) {
        int outputs = weight.tensor().rows();
        int inputs = weight.tensor().cols();
        Operand norms = fixture.output(DType.F32, 1, outputs, layout);

        fixture.run(() -> engine.rowNorms(weight.tensor(), a.tensor(), b.tensor(), SCALE, norms.tensor()));

        Matrix expected = ReferenceRescale.rowNorms(weight.before(), a.before(), b.before(), SCALE);
        // every element of W0 + s B A carries the error of its own sum; a norm moves by at most the norm of these
        Matrix sizes = ReferenceRescale.adapted(
                weight.before().map(Math::abs),
                a.before().map(Math::abs),
                b.before().map(Math::abs),
                SCALE);
        Matrix errors = sizes.map(size -> size * size).transposed().columnSums().map(Math::sqrt);
        int rank = a.tensor().rows();
        Matrix extra =
                errors.combine(expected, (error, norm) -> Tolerance.sum(rank) * error + Tolerance.sum(inputs) * norm);
        norms.assertClose("norms", expected, Tolerance.bound(DType.F32, expected, extra));
    }

    // ---- rescaling

    static List<Arguments> cases() {
        int[][] sizes = {{1, 1}, {1, 577}, {3, 2}, {13, 63}, {64, 48}, {207, 96}, {300, 9}};
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
    void forward(Precision precision, Layout layout, int rows, int cols) {
        DType dtype = compute(precision);
        Operand magnitude = fixture.input(DType.F32, 1, cols, layout);
        Operand norms = norms(cols, layout);
        Operand bias = fixture.input(dtype, 1, cols, layout);
        for (DType out : dtype == DType.F32 ? List.of(dtype) : List.of(dtype, DType.F32)) {
            Operand z = fixture.input(out, rows, cols, layout);
            Operand residual = fixture.input(out, rows, cols, layout);
            Operand y = fixture.output(out, rows, cols, layout);
            Operand plain = fixture.output(out, rows, cols, layout);
            Operand unscaled = fixture.output(out, rows, cols, layout);

            fixture.run(() -> {
                engine.rescaleForward(
                        z.tensor(), magnitude.tensor(), norms.tensor(), bias.tensor(), residual.tensor(), y.tensor());
                engine.rescaleForward(z.tensor(), magnitude.tensor(), norms.tensor(), null, null, plain.tensor());
                engine.rescaleForward(z.tensor(), null, null, bias.tensor(), residual.tensor(), unscaled.tensor());
            });

            check(y, z, magnitude.before(), norms.before(), bias.before(), residual.before());
            check(plain, z, magnitude.before(), norms.before(), null, null);
            check(unscaled, z, null, null, bias.before(), residual.before());
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void forwardInPlace(Precision precision, Layout layout, int rows, int cols) {
        DType dtype = compute(precision);
        Operand magnitude = fixture.input(DType.F32, 1, cols, layout);
        Operand norms = norms(cols, layout);
        Operand bias = fixture.input(dtype, 1, cols, layout);
        Operand z = fixture.input(dtype, rows, cols, layout);
        Operand overZ = fixture.updated(dtype, rows, cols, layout);
        Operand overResidual = fixture.updated(dtype, rows, cols, layout);

        fixture.run(() -> {
            engine.rescaleForward(
                    overZ.tensor(), magnitude.tensor(), norms.tensor(), bias.tensor(), null, overZ.tensor());
            engine.rescaleForward(
                    z.tensor(), magnitude.tensor(), norms.tensor(), null, overResidual.tensor(), overResidual.tensor());
        });

        check(overZ, overZ, magnitude.before(), norms.before(), bias.before(), null);
        check(overResidual, z, magnitude.before(), norms.before(), null, overResidual.before());
    }

    private static void check(Operand y, Operand z, Matrix magnitude, Matrix norms, Matrix bias, Matrix residual) {
        Matrix expected = ReferenceRescale.forward(z.before(), magnitude, norms, bias, residual);
        Matrix sizes = ReferenceRescale.forward(
                absolute(z.before()), absolute(magnitude), norms, absolute(bias), absolute(residual));
        y.assertClose("y", expected, Tolerance.bound(y.dtype(), expected, sizes.scaled(STEPS)));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backward(Precision precision, Layout layout, int rows, int cols) {
        DType dtype = compute(precision);
        Operand magnitude = fixture.input(DType.F32, 1, cols, layout);
        Operand norms = norms(cols, layout);
        Operand dy = fixture.input(dtype, rows, cols, layout);
        for (DType out : dtype == DType.F32 ? List.of(dtype) : List.of(dtype, DType.F32)) {
            Operand z = fixture.input(out, rows, cols, layout);
            Operand dz = fixture.output(dtype, rows, cols, layout);
            Operand dm = fixture.updated(DType.F32, 1, cols, layout);

            fixture.run(() -> engine.rescaleBackward(
                    dy.tensor(), z.tensor(), magnitude.tensor(), norms.tensor(), dz.tensor(), dm.tensor()));

            checkGradients(dz, dm, dy.before(), z.before(), magnitude.before(), norms.before());
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardInPlace(Precision precision, Layout layout, int rows, int cols) {
        DType dtype = compute(precision);
        Operand magnitude = fixture.input(DType.F32, 1, cols, layout);
        Operand norms = norms(cols, layout);
        Operand dy = fixture.input(dtype, rows, cols, layout);
        Operand overZ = fixture.updated(dtype, rows, cols, layout);
        Operand z = fixture.input(DType.F32, rows, cols, layout);
        Operand overDy = fixture.updated(dtype, rows, cols, layout);
        Operand first = fixture.updated(DType.F32, 1, cols, layout);
        Operand second = fixture.updated(DType.F32, 1, cols, layout);

        fixture.run(() -> {
            engine.rescaleBackward(
                    dy.tensor(), overZ.tensor(), magnitude.tensor(), norms.tensor(), overZ.tensor(), first.tensor());
            engine.rescaleBackward(
                    overDy.tensor(), z.tensor(), magnitude.tensor(), norms.tensor(), overDy.tensor(), second.tensor());
        });

        checkGradients(overZ, first, dy.before(), overZ.before(), magnitude.before(), norms.before());
        checkGradients(overDy, second, overDy.before(), z.before(), magnitude.before(), norms.before());
    }

    private static void checkGradients(Operand dz, Operand dm, Matrix dy, Matrix z, Matrix magnitude, Matrix norms) {
        ReferenceRescale.Gradients expected = ReferenceRescale.backward(dy, z, magnitude, norms);
        dz.assertClose(
                "dz",
                expected.z(),
                Tolerance.bound(dz.dtype(), expected.z(), absolute(expected.z()).scaled(STEPS)));
        Matrix sum = dm.before().plus(expected.magnitude());
        Matrix sizes = ReferenceRescale.backward(absolute(dy), absolute(z), absolute(magnitude), norms)
                .magnitude();
        Matrix extra = sizes.scaled(STEPS + Tolerance.sum(dy.rows()));
        dm.assertClose("dm", sum, Tolerance.bound(DType.F32, sum, extra));
    }

    /** A row of zeros, as models have for unused tokens, must not bring NaN into the rest. */
    @ParameterizedTest
    @EnumSource
    void aNormOfZeroGivesZero(Precision precision) {
        DType dtype = compute(precision);
        Operand magnitude = fixture.input(DType.F32, Matrix.of(1, 3, new float[] {0, 2, 5}), Layout.PACKED);
        Operand norms = fixture.input(DType.F32, Matrix.of(1, 3, new float[] {0, 4, 0}), Layout.PACKED);
        Operand z = fixture.input(dtype, Matrix.of(1, 3, new float[] {0, 3, 1}), Layout.PACKED);
        Operand y = fixture.output(dtype, 1, 3, Layout.PACKED);
        Operand dz = fixture.output(dtype, 1, 3, Layout.PACKED);
        Operand dm = fixture.updated(DType.F32, Matrix.zeros(1, 3), Layout.PACKED);

        fixture.run(() -> {
            engine.rescaleForward(z.tensor(), magnitude.tensor(), norms.tensor(), null, null, y.tensor());
            engine.rescaleBackward(
                    z.tensor(), z.tensor(), magnitude.tensor(), norms.tensor(), dz.tensor(), dm.tensor());
        });

        assertThat(y.values()).containsExactly(0, 1.5f, 0);
        assertThat(dz.values()).containsExactly(0, 1.5f, 0);
        assertThat(dm.values()).containsExactly(0, 2.25f, 0);
    }

    /** Positive lengths. */
    private Operand norms(int cols, Layout layout) {
        Matrix lengths = Matrix.of(1, cols, fixture.normal(DType.F32, cols)).map(value -> 0.5 + Math.abs(value));
        return fixture.input(DType.F32, lengths, layout);
    }

    private static Matrix absolute(Matrix matrix) {
        return matrix == null ? null : matrix.map(Math::abs);
    }

    // ---- dropout

    @ParameterizedTest
    @MethodSource("cases")
    void dropoutAndWhatItDrops(Precision precision, Layout layout, int rows, int cols) {
        DType dtype = compute(precision);
        for (Dropout dropout : List.of(new Dropout(0.4f, 1L << 40 | 5, 70_000, 9), new Dropout(0, 1, 2, 3))) {
            Operand x = fixture.input(dtype, rows, cols, layout);
            Operand kept = fixture.output(dtype, rows, cols, layout);
            Operand rest = fixture.output(dtype, rows, cols, layout);
            Operand sum = fixture.updated(dtype, rows, cols, layout);
            Operand inPlace = fixture.updated(dtype, rows, cols, layout);

            fixture.run(() -> {
                engine.dropout(x.tensor(), dropout, false, false, kept.tensor());
                engine.dropout(x.tensor(), dropout, true, false, rest.tensor());
                engine.dropout(x.tensor(), dropout, true, true, sum.tensor());
                engine.dropout(inPlace.tensor(), dropout, false, false, inPlace.tensor());
            });

            Matrix dropped = ReferenceLinear.dropout(x.before(), dropout);
            Matrix others = x.before().plus(dropped.scaled(-1));
            Matrix size = absolute(x.before()).plus(absolute(dropped)).scaled(STEPS);
            kept.assertClose("kept", dropped, Tolerance.bound(dtype, dropped, size));
            rest.assertClose("rest", others, Tolerance.bound(dtype, others, size));
            Matrix total = sum.before().plus(others);
            sum.assertClose(
                    "sum",
                    total,
                    Tolerance.bound(dtype, total, size.plus(absolute(total).scaled(STEPS))));
            Matrix own = ReferenceLinear.dropout(inPlace.before(), dropout);
            inPlace.assertClose(
                    "in place", own, Tolerance.bound(dtype, own, absolute(own).scaled(STEPS)));
            for (int i = 0; i < dropped.values().length; i++) {
                if (dropped.values()[i] == 0) {
                    assertThat(kept.values()[i]).isZero();
                    assertThat(rest.values()[i]).isEqualTo((float) x.before().values()[i]);
                }
            }
        }
    }
}
