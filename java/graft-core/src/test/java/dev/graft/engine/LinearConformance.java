package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.engine.LinearSetup.Adapters;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#linearForward} and {@link Engine#linearBackward}: values and gradients. */
public abstract class LinearConformance extends Conformance {
    static List<Arguments> cases() {
        // rows, inputs, outputs, rank
        int[][] sizes = {
            {1, 1, 1, 1},
            {1, 2, 3, 1},
            {1, 577, 96, 16},
            {3, 16, 48, 4},
            {13, 63, 207, 3},
            {13, 1, 5, 1},
            {64, 96, 16, 16},
            {64, 577, 63, 4},
            {207, 48, 130, 3},
            {207, 96, 577, 16}
        };
        List<Arguments> cases = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            for (Layout layout : Layout.values()) {
                for (Adapters adapters : Adapters.values()) {
                    for (int[] s : sizes) {
                        cases.add(Arguments.of(precision, layout, adapters, s[0], s[1], s[2], s[3]));
                    }
                }
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void forward(Precision precision, Layout layout, Adapters adapters, int rows, int inputs, int outputs, int rank) {
        LinearSetup setup = new LinearSetup(fixture, compute(precision), layout, true, rows, inputs)
                .layer(outputs, true, adapters, rank, null)
                .layer(outputs / 2 + 1, false, adapters, rank, null);
        LinearAssertions.forward(fixture, setup);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backward(Precision precision, Layout layout, Adapters adapters, int rows, int inputs, int outputs, int rank) {
        LinearSetup setup = new LinearSetup(fixture, compute(precision), layout, false, rows, inputs)
                .layer(outputs, true, adapters, rank, null)
                .layer(outputs / 2 + 1, false, adapters, rank, null);
        LinearAssertions.backward(fixture, setup);
    }

    /** q, k and v: three layers over one input. Dropout of one half scales by 2, which is exact. */
    @ParameterizedTest
    @EnumSource
    void threeLayersWithDropout(Precision precision) {
        DType dtype = compute(precision);
        for (boolean forward : new boolean[] {true, false}) {
            LinearSetup setup = new LinearSetup(fixture, dtype, Layout.PITCHED, forward, 29, 63)
                    .layer(96, false, Adapters.SEVERAL, 4, new Dropout(0.5f, 42, 7, 0))
                    .layer(48, true, Adapters.ONE, 4, new Dropout(0.5f, 42, 7, 1))
                    .layer(48, true, Adapters.NONE, 4, null);
            if (forward) {
                LinearAssertions.forward(fixture, setup);
            } else {
                LinearAssertions.backward(fixture, setup);
            }
        }
    }

    /** More ranks than an engine may take at once. Dropout of one half scales by 2, which is exact. */
    @ParameterizedTest
    @EnumSource
    void greatRanks(Precision precision) {
        DType dtype = compute(precision);
        for (Dropout dropout : new @Nullable Dropout[] {null, new Dropout(0.5f, 42, 7, 0)}) {
            for (int rank : new int[] {67, 256}) {
                LinearSetup forward = new LinearSetup(fixture, dtype, Layout.PITCHED, true, 70, 96)
                        .layer(80, false, Adapters.ONE, rank, dropout);
                LinearAssertions.forward(fixture, forward);
                LinearSetup backward = new LinearSetup(fixture, dtype, Layout.PITCHED, false, 70, 96)
                        .layer(80, false, Adapters.ONE, rank, dropout);
                LinearAssertions.backward(fixture, backward);
            }
        }
    }

    /** The first trained layer of a model needs no dx. */
    @ParameterizedTest
    @EnumSource
    void backwardWithoutInputGradient(Precision precision) {
        LinearSetup setup = new LinearSetup(fixture, compute(precision), Layout.PACKED, false, 13, 48)
                .layer(63, true, Adapters.SEVERAL, 4, null);
        fixture.run(() -> engine.linearBackward(setup.x().tensor(), setup.projections(), null));
        LinearAssertions.parameterGradients(setup);
    }
}
