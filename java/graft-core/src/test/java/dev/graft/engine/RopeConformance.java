package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#rope}, both ways. */
abstract class RopeConformance extends Conformance {
    private static final int POSITIONS = 300;

    static List<Arguments> cases() {
        int[][] sizes = {{1, 1, 2}, {3, 9, 64}, {13, 3, 8}, {13, 2, 20}, {64, 1, 64}, {5, 6, 128}, {207, 4, 6}};
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
    @MethodSource("cases")
    void rotatesForwardAndBack(Precision precision, Layout layout, int rows, int heads, int headDim) {
        DType dtype = compute(precision);
        Operand forward = fixture.updated(dtype, rows, heads * headDim, layout);
        Operand back = fixture.updated(dtype, forward.before(), layout);
        Operand cosSin = fixture.input(DType.F32, cosSin(headDim), layout);
        int[] positions = positions(rows);
        TensorView index = fixture.integers(positions);

        fixture.run(() -> {
            engine.rope(forward.tensor(), cosSin.tensor(), index, headDim, false);
            engine.rope(back.tensor(), cosSin.tensor(), index, headDim, true);
        });

        check(forward, cosSin, positions, headDim, false);
        check(back, cosSin, positions, headDim, true);
    }

    private static void check(Operand x, Operand cosSin, int[] positions, int headDim, boolean inverse) {
        Matrix expected = ReferenceOps.rope(x.before(), cosSin.before(), positions, headDim, inverse);
        // two products and their difference
        x.assertClose("x", expected, Tolerance.bound(x.dtype(), expected, Tolerance.sum(2)));
    }

    /** In no order, some twice, the first and the last among them. */
    private int[] positions(int rows) {
        int[] positions = new int[rows];
        for (int i = 0; i < rows; i++) {
            positions[i] = fixture.random(POSITIONS);
        }
        positions[0] = POSITIONS - 1;
        positions[rows / 2] = rows > 1 ? 0 : POSITIONS - 1;
        return positions;
    }

    private static Matrix cosSin(int headDim) {
        Matrix table = Matrix.zeros(POSITIONS, headDim);
        int half = headDim / 2;
        for (int position = 0; position < POSITIONS; position++) {
            for (int i = 0; i < half; i++) {
                double angle = position * Math.pow(10_000, -(double) i / half);
                table.set(position, i, Math.cos(angle));
                table.set(position, half + i, Math.sin(angle));
            }
        }
        return table;
    }
}
