package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.engine.LinearSetup.Adapters;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Linear layers laid out as in a model: frozen weights, activations with the engine's {@link BufferLayout#border}. What is in a
 * border must never show: borders of inputs start as NaN here. On an engine without borders these are linear layers once more.
 */
abstract class BorderConformance extends Conformance {
    /** q, k and v: rows, inputs, outputs of each, ranks of each. */
    private record Sizes(int rows, int inputs, int[] outputs, int[] ranks) {
        @Override
        public String toString() {
            return "x[" + rows + ", " + inputs + "], N " + List.of(outputs[0], outputs[1], outputs[2]) + ", r "
                    + List.of(ranks[0], ranks[1], ranks[2]);
        }
    }

    private static final List<Sizes> SIZES = List.of(
            new Sizes(1, 1, new int[] {1, 1, 1}, new int[] {1, 1, 1}),
            new Sizes(13, 63, new int[] {207, 48, 48}, new int[] {3, 16, 1}),
            new Sizes(37, 96, new int[] {64, 33, 33}, new int[] {16, 16, 16}),
            // together more than a border of 64 holds, each alone less
            new Sizes(29, 130, new int[] {48, 16, 5}, new int[] {20, 30, 40}),
            // more than any border holds
            new Sizes(40, 33, new int[] {20, 70, 31}, new int[] {2, 65, 4}));

    static List<Arguments> cases() {
        List<Arguments> cases = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            for (Adapters adapters : new Adapters[] {Adapters.ONE, Adapters.SEVERAL}) {
                SIZES.forEach(sizes -> cases.add(Arguments.of(precision, adapters, sizes)));
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void forward(Precision precision, Adapters adapters, Sizes sizes) {
        LinearSetup setup = setup(compute(precision), true, sizes, adapters, null);
        long[] before = fingerprints(setup);
        LinearAssertions.forward(fixture, setup);
        assertThat(fingerprints(setup)).as("frozen weights").isEqualTo(before);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backward(Precision precision, Adapters adapters, Sizes sizes) {
        LinearSetup setup = setup(compute(precision), false, sizes, adapters, null);
        long[] before = fingerprints(setup);
        LinearAssertions.backward(fixture, setup);
        assertThat(fingerprints(setup)).as("frozen weights").isEqualTo(before);
    }

    /** The mask applies to the low-rank part of dx alone. Dropout of one half scales by 2, which is exact. */
    @ParameterizedTest
    @EnumSource
    void withDropout(Precision precision) {
        Dropout dropout = new Dropout(0.5f, 42, 7, 0);
        for (Adapters adapters : new Adapters[] {Adapters.ONE, Adapters.SEVERAL}) {
            for (boolean forward : new boolean[] {true, false}) {
                try (EngineFixture own = new EngineFixture(engine, 5)) {
                    LinearSetup setup = LinearSetup.bordered(own, compute(precision), forward, 29, 63)
                            .layer(96, false, adapters, 4, dropout)
                            .layer(48, true, Adapters.NONE, 0, null)
                            .layer(48, true, adapters, 5, dropout);
                    if (forward) {
                        LinearAssertions.forward(own, setup);
                    } else {
                        LinearAssertions.backward(own, setup);
                    }
                }
            }
        }
    }

    /** One layer with a residual, two with a bias and trained. */
    private LinearSetup setup(DType dtype, boolean forward, Sizes sizes, Adapters adapters, Dropout dropout) {
        return LinearSetup.bordered(fixture, dtype, forward, sizes.rows, sizes.inputs)
                .layer(sizes.outputs[0], false, adapters, sizes.ranks[0], dropout)
                .layer(sizes.outputs[1], true, Adapters.ONE, sizes.ranks[1], dropout)
                .layer(sizes.outputs[2], true, adapters, sizes.ranks[2], dropout);
    }

    private long[] fingerprints(LinearSetup setup) {
        return setup.layers().stream()
                .mapToLong(layer -> engine.fingerprint(layer.frozen()))
                .toArray();
    }

    /** Two layers of one call over the same weight, each with an adapter of its own. */
    @ParameterizedTest
    @EnumSource
    void layersThatShareAWeight(Precision precision) {
        DType dtype = compute(precision);
        for (boolean forward : new boolean[] {true, false}) {
            try (EngineFixture own = new EngineFixture(engine, 9)) {
                LinearSetup setup = LinearSetup.bordered(own, dtype, forward, 13, 33)
                        .layer(28, false, Adapters.ONE, 4, null)
                        .layerOverTheSameWeight(Adapters.ONE, 5);
                if (forward) {
                    LinearAssertions.forward(own, setup);
                } else {
                    LinearAssertions.backward(own, setup);
                }
            }
        }
    }

    // ---- what an earlier call left behind

    /** One adapter of a call in the sequence below. */
    private record Adapter(int from, int to, Operand a, Operand b) {
        LoraTerm term(Tensor hidden, LoraTerm.Gradients gradients) {
            return new LoraTerm(from, to, a.tensor(), b.tensor(), 0.5f, hidden, null, null, gradients);
        }
    }

    /** Wide, none, several on some rows, narrow, wide again: each as if it were the first to touch its weight and its x. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aCallDoesNotSeeWhatAnotherLeftInABorder(boolean forward) {
        for (Precision precision : Precision.values()) {
            if (engine.supports(precision)) {
                try (EngineFixture own = new EngineFixture(engine, 3)) {
                    checkSequence(own, precision.compute(), forward);
                }
            }
        }
    }

    private void checkSequence(EngineFixture own, DType dtype, boolean forward) {
        int rows = 21;
        int inputs = 33;
        int outputs = 28;
        Operand x = own.borderedInput(dtype, rows, inputs);
        Operand dy = own.borderedInput(dtype, rows, outputs);
        Operand weight = own.input(dtype, outputs, inputs, Layout.PACKED);
        Operand result = forward ? own.borderedOutput(dtype, rows, outputs) : own.borderedOutput(dtype, rows, inputs);
        TensorView worn = own.frozen(weight);
        List<List<Adapter>> calls = List.of(
                List.of(adapter(own, dtype, 0, rows, 24, outputs, inputs)),
                List.of(),
                List.of(
                        adapter(own, dtype, 2, 7, 3, outputs, inputs),
                        adapter(own, dtype, 7, 7, 4, outputs, inputs),
                        adapter(own, dtype, 11, 19, 9, outputs, inputs)),
                List.of(adapter(own, dtype, 5, 6, 1, outputs, inputs)),
                List.of(adapter(own, dtype, 0, rows, 24, outputs, inputs)));
        for (List<Adapter> adapters : calls) {
            float[] afterOthers = call(own, x, dy, worn, adapters, result, forward);
            x.reset();
            dy.reset();
            float[] asTheFirst = call(own, x, dy, own.frozen(weight), adapters, result, forward);
            EngineFixture.assertSameBits("result of " + adapters.size() + " adapters", afterOthers, asTheFirst);
        }
    }

    private Adapter adapter(EngineFixture own, DType dtype, int from, int to, int rank, int outputs, int inputs) {
        return new Adapter(
                from,
                to,
                own.input(dtype, rank, inputs, Layout.PACKED),
                own.input(dtype, outputs, rank, Layout.PACKED));
    }

    private float[] call(
            EngineFixture own,
            Operand x,
            Operand dy,
            TensorView weight,
            List<Adapter> adapters,
            Operand result,
            boolean forward) {
        List<LoraTerm> terms = new ArrayList<>();
        for (Adapter adapter : adapters) {
            int rank = adapter.a.tensor().rows();
            Tensor hidden = own.allocate(x.dtype(), x.tensor().rows(), rank);
            terms.add(adapter.term(
                    hidden,
                    new LoraTerm.Gradients(
                            own.allocate(DType.F32, rank, weight.cols()),
                            own.allocate(DType.F32, weight.rows(), rank),
                            own.allocate(x.dtype(), x.tensor().rows(), rank))));
        }
        Tensor y = forward ? result.tensor() : dy.tensor();
        List<Projection> projections = List.of(new Projection(weight, null, terms, y, null, null, null));
        if (forward) {
            engine.linearForward(x.tensor(), projections);
        } else {
            engine.linearBackward(x.tensor(), projections, result.tensor());
        }
        return engine.download(result.tensor());
    }
}
