package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link Engine#attentionForward} and its backward. */
public abstract class AttentionConformance extends Conformance {
    /** Packed batches, and queries at the end of longer keys. Together they cover every row of q and of k. */
    private static final List<Sequences> BATCHES = List.of(
            Sequences.packed(1),
            Sequences.packed(17),
            Sequences.packed(130),
            Sequences.packed(5, 0, 1, 34, 17, 0),
            new Sequences(
                    new int[] {0, 3, 3, 4}, new int[] {3, 0, 1, 17}, new int[] {0, 70, 75, 92}, new int[] {70, 5, 17, 19
                    }));

    static List<Arguments> cases() {
        int[][] heads = {{1, 1, 2}, {4, 2, 8}, {4, 2, 20}, {9, 3, 64}};
        List<Arguments> cases = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            for (int[] head : heads) {
                for (int window : new int[] {0, 1, 5}) {
                    AttentionShape shape =
                            new AttentionShape(head[0], head[1], head[2], (float) (1 / Math.sqrt(head[2])), window);
                    for (int batch = 0; batch < BATCHES.size(); batch++) {
                        Layout layout = (batch + window) % 2 == 0 ? Layout.PITCHED : Layout.PACKED;
                        cases.add(Arguments.of(precision, layout, shape, batch));
                    }
                }
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void forward(Precision precision, Layout layout, AttentionShape shape, int batch) {
        Setup setup = new Setup(compute(precision), layout, shape, BATCHES.get(batch));
        setup.checkForward(1);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backward(Precision precision, Layout layout, AttentionShape shape, int batch) {
        Setup setup = new Setup(compute(precision), layout, shape, BATCHES.get(batch));
        setup.checkBackward();
    }

    static List<Arguments> longCases() {
        List<Arguments> cases = new ArrayList<>();
        for (AttentionShape shape : List.of(
                new AttentionShape(3, 1, 64, 0.125f, 90),
                new AttentionShape(2, 1, 100, 0.1f, 0),
                new AttentionShape(2, 2, 96, 0.1f, 0),
                new AttentionShape(2, 1, 128, 0.09f, 90),
                new AttentionShape(1, 1, 256, 0.06f, 0))) {
            for (Precision precision : Precision.values()) {
                cases.add(Arguments.of(precision, Layout.PACKED, shape));
                cases.add(Arguments.of(precision, Layout.PITCHED, shape));
            }
            // vectors of 16 bytes are what most kernels are made for
            AttentionShape otherwise = new AttentionShape(
                    shape.heads(), shape.keyValueHeads(), shape.headDim(), shape.scale(), shape.window() == 0 ? 90 : 0);
            cases.add(Arguments.of(Precision.BF16, Layout.PACKED, otherwise));
        }
        return cases;
    }

    /** Several blocks of queries and of keys on every engine, a window wider than one, heads of each size that has code of its own. */
    @ParameterizedTest
    @MethodSource("longCases")
    void longSequences(Precision precision, Layout layout, AttentionShape shape) {
        Sequences sequences =
                new Sequences(new int[] {0, 340}, new int[] {340, 70}, new int[] {0, 340}, new int[] {340, 201});
        Setup setup = new Setup(compute(precision), layout, shape, sequences);
        setup.checkForward(1);
        setup.checkBackward();
    }

    /** Generation: each sequence has its slot in a key cache; what lies beyond its keys is never read. */
    @ParameterizedTest
    @EnumSource
    void forwardOverAKeyCacheWithGaps(Precision precision) {
        AttentionShape shape = new AttentionShape(4, 2, 16, 0.25f, 0);
        Sequences sequences =
                new Sequences(new int[] {0, 1, 2}, new int[] {1, 1, 3}, new int[] {40, 0, 80}, new int[] {17, 40, 33});
        Setup setup = new Setup(compute(precision), Layout.PACKED, shape, sequences, 120);
        setup.checkForward(1);
    }

    /** q, k and v as columns of one matrix, as a fused projection leaves them; gradients into columns likewise. */
    @ParameterizedTest
    @EnumSource
    void operandsMayBeColumnsOfOneMatrix(Precision precision) {
        DType dtype = compute(precision);
        AttentionShape shape = new AttentionShape(6, 2, 8, 0.35f, 0);
        Sequences sequences = Sequences.packed(9, 21);
        Operand qkv = fixture.input(dtype, 30, 80, Layout.PACKED);
        Operand dO = fixture.input(dtype, 30, 48, Layout.PACKED);
        Operand o = fixture.output(dtype, 30, 48, Layout.PACKED);
        Operand logSumExp = fixture.output(DType.F32, 30, 6, Layout.PACKED);
        Operand gradient = fixture.output(dtype, 30, 80, Layout.PACKED);

        fixture.run(() -> {
            engine.attentionForward(
                    shape,
                    sequences,
                    qkv.tensor().columns(0, 48),
                    qkv.tensor().columns(48, 64),
                    qkv.tensor().columns(64, 80),
                    o.tensor(),
                    logSumExp.tensor());
            engine.attentionBackward(
                    shape,
                    sequences,
                    qkv.tensor().columns(0, 48),
                    qkv.tensor().columns(48, 64),
                    qkv.tensor().columns(64, 80),
                    o.tensor(),
                    logSumExp.tensor(),
                    dO.tensor(),
                    gradient.tensor().columns(0, 48),
                    gradient.tensor().columns(48, 64),
                    gradient.tensor().columns(64, 80));
        });

        Matrix all = qkv.before();
        ReferenceAttention.Gradients expected = ReferenceAttention.backward(
                shape,
                sequences,
                columns(all, 0, 48),
                columns(all, 48, 64),
                columns(all, 64, 80),
                o.after(),
                logSumExp.after(),
                dO.before());
        Matrix joined = Matrix.zeros(30, 80);
        for (int row = 0; row < 30; row++) {
            System.arraycopy(expected.q().values(), row * 48, joined.values(), row * 80, 48);
            System.arraycopy(expected.k().values(), row * 16, joined.values(), row * 80 + 48, 16);
            System.arraycopy(expected.v().values(), row * 16, joined.values(), row * 80 + 64, 16);
        }
        gradient.assertClose("dq, dk, dv", joined, gradientBound(dtype, joined, 21));
    }

    private static Matrix columns(Matrix matrix, int from, int to) {
        Matrix transposed = matrix.transposed();
        return transposed.rows(from, to).transposed();
    }

    /** Scores in the thousands: the softmax is nearly one-hot and must not overflow. */
    @ParameterizedTest
    @EnumSource
    void hugeScoresStayFinite(Precision precision) {
        AttentionShape shape = new AttentionShape(2, 1, 16, 300, 0);
        Setup setup = new Setup(compute(precision), Layout.PACKED, shape, Sequences.packed(40));
        setup.checkForward(300 * 16 * 4);
        assertFinite(setup.o);
        assertFinite(setup.logSumExp);
        setup.checkGradientsAreFinite();
    }

    /** In bfloat16 the probabilities, and from them dS, are rounded; each sum of them errs by u of the largest. */
    private static Matrix gradientBound(DType dtype, Matrix expected, int keys) {
        double intermediate = dtype == DType.BF16 ? 4 * Tolerance.unit(dtype) : 0;
        return Tolerance.bound(dtype, expected, intermediate + 4 * Tolerance.sum(keys));
    }

    private final class Setup {
        final Operand o;
        final Operand logSumExp;
        private final DType dtype;
        private final Layout layout;
        private final AttentionShape shape;
        private final Sequences sequences;
        private final Operand q;
        private final Operand k;
        private final Operand v;
        private final ReferenceAttention.Output expected;

        Setup(DType dtype, Layout layout, AttentionShape shape, Sequences sequences) {
            this(dtype, layout, shape, sequences, end(sequences.keyStart(), sequences.keyLength()));
        }

        Setup(DType dtype, Layout layout, AttentionShape shape, Sequences sequences, int keyRows) {
            this.dtype = dtype;
            this.layout = layout;
            this.shape = shape;
            this.sequences = sequences;
            int rows = end(sequences.queryStart(), sequences.queryLength());
            int width = shape.heads() * shape.headDim();
            q = fixture.input(dtype, rows, width, layout);
            k = keys(keyRows);
            v = keys(keyRows);
            o = fixture.output(dtype, rows, width, layout);
            logSumExp = fixture.output(DType.F32, rows, shape.heads(), layout);
            expected = ReferenceAttention.forward(shape, sequences, q.before(), k.before(), v.before());
        }

        /** Random keys or values; NaN in the rows of no sequence. */
        private Operand keys(int rows) {
            int width = shape.keyValueHeads() * shape.headDim();
            Matrix values = Matrix.zeros(rows, width).map(zero -> Double.NaN);
            for (int s = 0; s < sequences.count(); s++) {
                int from = sequences.keyStart()[s] * width;
                float[] own = fixture.normal(dtype, sequences.keyLength()[s] * width);
                for (int i = 0; i < own.length; i++) {
                    values.values()[from + i] = own[i];
                }
            }
            return fixture.input(dtype, values, layout);
        }

        private static int end(int[] start, int[] length) {
            int end = 0;
            for (int s = 0; s < start.length; s++) {
                end = Math.max(end, start[s] + length[s]);
            }
            return end;
        }

        private int longest() {
            int longest = 0;
            for (int length : sequences.keyLength()) {
                longest = Math.max(longest, length);
            }
            return longest;
        }

        /**
         * @param scores how large the scores may be: float32 holds them to this many times 2⁻²⁴, and the probabilities err by
         *     as much
         */
        void checkForward(double scores) {
            fixture.run(() -> engine.attentionForward(
                    shape, sequences, q.tensor(), k.tensor(), v.tensor(), o.tensor(), logSumExp.tensor()));

            double relative = 4 * Tolerance.sum(longest()) + scores * Tolerance.sum(shape.headDim());
            logSumExp.assertClose(
                    "logSumExp",
                    expected.logSumExp(),
                    Tolerance.bound(
                            DType.F32,
                            expected.logSumExp(),
                            expected.logSumExp().map(e -> relative)));
            // probabilities rounded to bfloat16 err by u each, and so does their weighted mean of v
            double probabilities = dtype == DType.BF16 ? Tolerance.unit(dtype) : 0;
            o.assertClose("o", expected.o(), Tolerance.bound(dtype, expected.o(), probabilities + relative));
        }

        void checkBackward() {
            Backward given = new Backward();
            given.run();
            ReferenceAttention.Gradients gradients = ReferenceAttention.backward(
                    shape,
                    sequences,
                    q.before(),
                    k.before(),
                    v.before(),
                    given.o.before(),
                    given.logSumExp.before(),
                    given.dO.before());
            given.dq.assertClose("dq", gradients.q(), bound(gradients.q()));
            given.dk.assertClose("dk", gradients.k(), bound(gradients.k()));
            given.dv.assertClose("dv", gradients.v(), bound(gradients.v()));
        }

        /** Where a query sees one key, dO·v and δ cancel: sums over D, scaled by 1/√D, leave what float32 rounds of them. */
        private Matrix bound(Matrix gradient) {
            double cancelled = 8 * Tolerance.sum(shape.headDim()) * Math.sqrt(shape.headDim());
            return gradientBound(dtype, gradient, longest()).map(value -> value + cancelled);
        }

        void checkGradientsAreFinite() {
            Backward given = new Backward();
            given.run();
            for (Operand gradient : List.of(given.dq, given.dk, given.dv)) {
                assertFinite(gradient);
            }
        }

        /** The operands of a backward call, with o and logSumExp from the reference. */
        private final class Backward {
            final Operand o = fixture.input(dtype, expected.o(), layout);
            final Operand logSumExp = fixture.input(DType.F32, expected.logSumExp(), layout);
            final Operand dO =
                    fixture.input(dtype, q.tensor().rows(), q.tensor().cols(), layout);
            final Operand dq =
                    fixture.output(dtype, q.tensor().rows(), q.tensor().cols(), layout);
            final Operand dk =
                    fixture.output(dtype, k.tensor().rows(), k.tensor().cols(), layout);
            final Operand dv =
                    fixture.output(dtype, v.tensor().rows(), v.tensor().cols(), layout);

            void run() {
                fixture.run(() -> engine.attentionBackward(
                        shape,
                        sequences,
                        q.tensor(),
                        k.tensor(),
                        v.tensor(),
                        o.tensor(),
                        logSumExp.tensor(),
                        dO.tensor(),
                        dq.tensor(),
                        dk.tensor(),
                        dv.tensor()));
            }
        }
    }
}
