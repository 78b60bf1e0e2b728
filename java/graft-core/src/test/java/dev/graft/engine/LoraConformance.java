package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What LoRA and its dropout promise to the bit. */
public abstract class LoraConformance extends Conformance {
    static List<Arguments> sizes() {
        List<Arguments> cases = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            for (int[] size : new int[][] {{1, 16, 5}, {13, 63, 48}, {64, 96, 207}, {130, 577, 96}}) {
                cases.add(Arguments.of(precision, size[0], size[1], size[2]));
            }
        }
        return cases;
    }

    /** A fresh adapter (B = 0) is invisible; and a trained one is, in the rows of others. */
    @ParameterizedTest
    @MethodSource("sizes")
    void whereAnAdapterAddsNothingYHasTheBitsOfTheFrozenLayer(Precision precision, int rows, int inputs, int outputs) {
        DType dtype = compute(precision);
        Operand x = fixture.input(dtype, rows, inputs, Layout.PACKED);
        Operand weight = fixture.input(dtype, outputs, inputs, Layout.PACKED);
        Operand bias = fixture.input(dtype, 1, outputs, Layout.PACKED);
        Operand residual = fixture.input(dtype, rows, outputs, Layout.PACKED);
        Operand frozen = fixture.output(dtype, rows, outputs, Layout.PACKED);
        Operand fresh = fixture.output(dtype, rows, outputs, Layout.PACKED);
        Operand mixed = fixture.output(dtype, rows, outputs, Layout.PACKED);
        Operand a = fixture.input(dtype, 4, inputs, Layout.PACKED);
        Operand zeroB = fixture.input(dtype, Matrix.zeros(outputs, 4), Layout.PACKED);
        Operand b = fixture.input(dtype, outputs, 4, Layout.PACKED);
        Operand hidden = fixture.scratch(dtype, rows, 4, Layout.PACKED);
        int from = rows / 3;
        int to = rows / 2;

        fixture.run(() -> {
            for (Operand y : List.of(frozen, fresh, mixed)) {
                List<LoraTerm> terms = y == frozen
                        ? List.of()
                        : List.of(y == fresh ? term(0, rows, a, zeroB, hidden) : term(from, to, a, b, hidden));
                engine.linearForward(
                        x.tensor(),
                        List.of(new Projection(
                                weight.tensor(), bias.tensor(), terms, y.tensor(), residual.tensor(), null, null)));
            }
        });

        for (int row = 0; row < rows; row++) {
            double[] expected = frozen.after().rows(row, row + 1).values();
            assertThat(fresh.after().rows(row, row + 1).values())
                    .as("row %d with B = 0", row)
                    .isEqualTo(expected);
            if (row < from || row >= to) {
                assertThat(mixed.after().rows(row, row + 1).values())
                        .as("row %d of no adapter", row)
                        .isEqualTo(expected);
            }
        }
    }

    private static LoraTerm term(int from, int to, Operand a, Operand b, Operand hidden) {
        return new LoraTerm(from, to, a.tensor(), b.tensor(), 2, hidden.tensor(), null, null, null);
    }

    /** With A the identity, h is the dropped-out x itself. 13 columns: the four words of a draw straddle rows. */
    @ParameterizedTest
    @EnumSource
    void forwardDropsWhatPhiloxSays(Precision precision) {
        DType dtype = compute(precision);
        for (Layout layout : Layout.values()) {
            LinearSetup setup = new LinearSetup(fixture, dtype, layout, true, 29, 13)
                    .adapterAlone(identity(3, 20, new Dropout(0.25f, 1L << 40 | 5, 70_000, 9)));
            LinearSetup.Term term = setup.layers().getFirst().terms().getFirst();

            fixture.run(() -> engine.linearForward(setup.x().tensor(), setup.projections()));

            Matrix expected = ReferenceLinear.loraHidden(setup.x().before(), term.reference());
            assertThat(expected.values()).contains(0).hasSize(17 * 13);
            // zeros are exact; x / (1 - p) may be rounded before and after the product with A
            term.hidden().assertClose("hidden", expected, ulps(expected, dtype, 3));
        }
    }

    /** With W = 0 and A and B the identity, dx is dy where x was kept, scaled, and 0 elsewhere. */
    @ParameterizedTest
    @EnumSource
    void backwardDropsTheSame(Precision precision) {
        DType dtype = compute(precision);
        for (Layout layout : Layout.values()) {
            LinearSetup setup = new LinearSetup(fixture, dtype, layout, false, 29, 13)
                    .adapterAlone(identity(3, 20, new Dropout(0.25f, 1L << 40 | 5, 70_000, 9)));
            Operand dx = fixture.output(dtype, 29, 13, layout);

            fixture.run(() -> engine.linearBackward(setup.x().tensor(), setup.projections(), dx.tensor()));

            LinearBounds expected = LinearBounds.inputGradient(setup);
            dx.assertClose("dx", expected.value(), ulps(expected.value(), dtype, 3));
        }
    }

    private static ReferenceLinear.Lora identity(int from, int to, @Nullable Dropout dropout) {
        Matrix identity = Matrix.zeros(13, 13);
        for (int i = 0; i < 13; i++) {
            identity.set(i, i, 1);
        }
        return new ReferenceLinear.Lora(from, to, identity, identity, 1, dropout);
    }

    private static Matrix ulps(Matrix expected, DType dtype, double count) {
        return expected.map(value -> count * Tolerance.unit(dtype) * Math.abs(value));
    }

    @ParameterizedTest
    @EnumSource
    void probabilityZeroIsNoDropout(Precision precision) {
        DType dtype = compute(precision);
        Operand x = fixture.input(dtype, 13, 63, Layout.PACKED);
        Operand weight = fixture.input(dtype, 48, 63, Layout.PACKED);
        Operand a = fixture.input(dtype, 3, 63, Layout.PACKED);
        Operand b = fixture.input(dtype, 48, 3, Layout.PACKED);
        Operand dropped = fixture.scratch(dtype, 13, 63, Layout.PACKED);
        List<Operand> hidden = outputs(dtype, 3);
        List<Operand> y = outputs(dtype, 48);

        fixture.run(() -> {
            for (int i = 0; i < 2; i++) {
                Dropout dropout = i == 0 ? null : new Dropout(0, 1, 2, 3);
                LoraTerm term = new LoraTerm(
                        0,
                        13,
                        a.tensor(),
                        b.tensor(),
                        0.5f,
                        hidden.get(i).tensor(),
                        dropout,
                        dropout == null ? null : dropped.tensor(),
                        null);
                engine.linearForward(
                        x.tensor(),
                        List.of(new Projection(
                                weight.tensor(), null, List.of(term), y.get(i).tensor(), null, null, null)));
            }
        });

        EngineFixture.assertSameBits(
                "hidden", hidden.get(1).values(), hidden.get(0).values());
        EngineFixture.assertSameBits("y", y.get(1).values(), y.get(0).values());
    }

    private List<Operand> outputs(DType dtype, int cols) {
        return List.of(fixture.output(dtype, 13, cols, Layout.PACKED), fixture.output(dtype, 13, cols, Layout.PACKED));
    }
}
