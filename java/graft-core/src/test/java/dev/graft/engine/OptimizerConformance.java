package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@link Engine#sumOfSquares} and {@link Engine#adamW}. */
abstract class OptimizerConformance extends Conformance {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 13, 207, 4098, 100_003})
    void sumOfSquares(int count) {
        Operand x = fixture.input(DType.F32, 1, count, Layout.PITCHED);
        Operand result = fixture.output(DType.F32, 1, 1, Layout.PITCHED);

        fixture.run(() -> engine.sumOfSquares(x.tensor(), result.tensor()));

        Matrix expected = new Matrix(
                1, 1, new double[] {ReferenceOps.sumOfSquares(x.before().values())});
        result.assertClose("sum", expected, Tolerance.bound(DType.F32, expected, Tolerance.sum(count)));
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 1e30f})
    void sumOfSquaresShowsWhatIsNotFinite(float bad) {
        Matrix values = Matrix.of(1, 1001, fixture.normal(DType.F32, 1001));
        values.set(0, 997, bad);
        Operand x = fixture.input(DType.F32, values, Layout.PACKED);
        Operand result = fixture.output(DType.F32, 1, 1, Layout.PACKED);

        fixture.run(() -> engine.sumOfSquares(x.tensor(), result.tensor()));

        assertThat(Float.isFinite(result.values()[0])).isFalse();
    }

    static List<Arguments> steps() {
        List<Arguments> cases = new ArrayList<>();
        for (int count : new int[] {1, 13, 207, 4098}) {
            for (double clipNorm : new double[] {0, 1, 1e9}) {
                cases.add(Arguments.of(count, new AdamW(2e-3, 0.9, 0.999, 1e-8, 0, 1, clipNorm)));
                cases.add(Arguments.of(count, new AdamW(2e-3, 0.85, 0.95, 1e-6, 0.1, 1000, clipNorm)));
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("steps")
    void adamWMakesOneStep(int count, AdamW adamW) {
        State state = new State(count);
        double sum = ReferenceOps.sumOfSquares(state.gradients.before().values());
        state.run(adamW, (float) sum);

        Matrix values = state.values.before();
        Matrix moment1 = state.moment1.before();
        Matrix moment2 = state.moment2.before();
        ReferenceOps.adamW(
                adamW, values.values(), state.gradients.before().values(), moment1.values(), moment2.values(), (float)
                        sum);
        // about ten float32 operations; a step moves a value by at most a few learning rates
        double relative = 16 * Tolerance.unit(DType.F32);
        Matrix moved = values.combine(state.values.before(), (after, before) -> relative * Math.abs(after - before));
        state.values.assertClose("values", values, Tolerance.bound(DType.F32, values, moved.plus(ulps(values, 2))));
        Matrix gradientScale = state.moment1.before().combine(moment1, (a, b) -> Math.abs(a) + Math.abs(b));
        state.moment1.assertClose(
                "moment 1", moment1, Tolerance.bound(DType.F32, moment1, gradientScale.scaled(relative)));
        state.moment2.assertClose("moment 2", moment2, Tolerance.bound(DType.F32, moment2, ulps(moment2, 16)));
    }

    private static Matrix ulps(Matrix matrix, double count) {
        return matrix.map(value -> count * Tolerance.unit(DType.F32) * Math.abs(value));
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
    void adamWChangesNothingWhereTheGradientIsNotFinite(float sum) {
        for (double clipNorm : new double[] {0, 1}) {
            State state = new State(207);
            state.run(new AdamW(2e-3, 0.9, 0.999, 1e-8, 0.1, 3, clipNorm), sum);
            for (Operand operand : List.of(state.values, state.moment1, state.moment2)) {
                assertThat(operand.after().values()).isEqualTo(operand.before().values());
            }
        }
    }

    private final class State {
        final Operand values;
        final Operand gradients;
        final Operand moment1;
        final Operand moment2;

        State(int count) {
            values = fixture.updated(DType.F32, 1, count, Layout.PITCHED);
            gradients = fixture.input(DType.F32, 1, count, Layout.PITCHED);
            moment1 = fixture.updated(DType.F32, 1, count, Layout.PITCHED);
            Matrix squares =
                    Matrix.of(1, count, fixture.normal(DType.F32, count)).map(m -> m * m + 0.01);
            moment2 = fixture.updated(DType.F32, squares, Layout.PITCHED);
        }

        void run(AdamW adamW, float sum) {
            Operand total = fixture.input(DType.F32, Matrix.of(1, 1, new float[] {sum}), Layout.PACKED);
            fixture.run(() -> engine.adamW(
                    adamW, values.tensor(), gradients.tensor(), moment1.tensor(), moment2.tensor(), total.tensor()));
        }
    }
}
