package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#add}: exactly the sum, rounded once. */
abstract class AddConformance extends Conformance {
    static List<Arguments> cases() {
        int[][] sizes = {{1, 1}, {1, 577}, {3, 2}, {13, 63}, {64, 48}, {207, 96}};
        List<Arguments> cases = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            for (DType addend : precision == Precision.F32 ? List.of(DType.F32) : List.of(DType.F32, DType.BF16)) {
                for (Layout layout : Layout.values()) {
                    for (int[] size : sizes) {
                        cases.add(Arguments.of(precision, addend, layout, size[0], size[1]));
                    }
                }
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void sums(Precision precision, DType addend, Layout layout, int rows, int width) {
        Operand a = fixture.input(compute(precision), rows, width, layout);
        Operand b = fixture.input(addend, rows, width, layout);
        Operand y = fixture.output(compute(precision), rows, width, layout);

        fixture.run(() -> engine.add(a.tensor(), b.tensor(), y.tensor()));

        check(y, a, b);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void inPlace(Precision precision, DType addend, Layout layout, int rows, int width) {
        Operand a = fixture.updated(compute(precision), rows, width, layout);
        Operand b = fixture.input(addend, rows, width, layout);
        fixture.run(() -> engine.add(a.tensor(), b.tensor(), a.tensor()));
        check(a, a, b);

        if (addend == compute(precision)) {
            Operand left = fixture.input(addend, rows, width, layout);
            Operand right = fixture.updated(addend, rows, width, layout);
            fixture.run(() -> engine.add(left.tensor(), right.tensor(), right.tensor()));
            check(right, left, right);
        }
    }

    private static void check(Operand y, Operand a, Operand b) {
        Matrix expected = a.before().combine(b.before(), (p, q) -> (float) p + (float) q);
        y.assertClose("y", expected, Tolerance.bound(y.dtype(), expected, expected.scaled(0)));
    }
}
