package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#gatherRows} and {@link Engine#scatterAddRows}. */
abstract class RowsConformance extends Conformance {
    static List<Arguments> cases() {
        int[][] sizes = {{1, 1, 1}, {13, 3, 2}, {207, 64, 63}, {13, 207, 577}, {4098, 13, 48}};
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
    void gatherCopiesRows(Precision precision, Layout layout, int vocabulary, int count, int width) {
        DType dtype = compute(precision);
        Operand table = fixture.input(dtype, vocabulary, width, layout);
        Operand y = fixture.output(dtype, count, width, layout);
        int[] index = index(vocabulary, count);
        TensorView rows = fixture.integers(index);

        fixture.run(() -> engine.gatherRows(table.tensor(), rows, y.tensor()));

        Matrix expected = ReferenceOps.gatherRows(table.before(), index);
        y.assertClose("y", expected, expected.scaled(0));
    }

    /** In the order of i, so that the float32 table has the bits of the plain loop. */
    @ParameterizedTest
    @MethodSource("cases")
    void scatterAddsRowsInOrder(Precision precision, Layout layout, int vocabulary, int count, int width) {
        Operand y = fixture.input(compute(precision), count, width, layout);
        Operand table = fixture.updated(DType.F32, vocabulary, width, layout);
        int[] index = index(vocabulary, count);
        TensorView rows = fixture.integers(index);

        fixture.run(() -> engine.scatterAddRows(y.tensor(), rows, table.tensor()));

        Matrix sums = table.before();
        Matrix added = y.before();
        for (int i = 0; i < count; i++) {
            for (int column = 0; column < width; column++) {
                float sum = (float) sums.at(index[i], column) + (float) added.at(i, column);
                sums.set(index[i], column, sum);
            }
        }
        table.assertClose("table", sums, sums.scaled(0));
    }

    /** The first and the last row, and many twice. */
    private int[] index(int vocabulary, int count) {
        int[] index = new int[count];
        for (int i = 0; i < count; i++) {
            index[i] = fixture.random(vocabulary);
        }
        index[count - 1] = vocabulary - 1;
        index[count / 2] = 0;
        return index;
    }
}
