package dev.graft.cpu.matmul;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;
import static org.assertj.core.api.Assertions.within;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What every implementation of {@link MatMul} does, compared with sums in float64. */
abstract class MatMulContract {
    private Arena arena;
    private WorkerPool pool;
    private MatMul matMul;

    abstract MatMul create(WorkerPool pool);

    @BeforeEach
    void open() {
        arena = Arena.ofShared();
        pool = new WorkerPool(2);
        matMul = create(pool);
    }

    @AfterEach
    void close() {
        matMul.close();
        pool.close();
        arena.close();
    }

    /** m, n, k: awkward, tiny, the shapes of LoRA's narrow products, of one token, of attention heads. */
    static Stream<Arguments> sizes() {
        return Stream.of(
                Arguments.of(1, 1, 1),
                Arguments.of(3, 7, 13),
                Arguments.of(1, 17, 64),
                Arguments.of(1, 577, 207),
                Arguments.of(3, 207, 64),
                Arguments.of(17, 1, 7),
                Arguments.of(13, 64, 1),
                Arguments.of(64, 64, 64),
                Arguments.of(207, 17, 577),
                Arguments.of(577, 207, 17),
                Arguments.of(64, 577, 207),
                Arguments.of(64, 65, 2100));
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void multipliesEitherWayRound(int m, int n, int k) {
        for (DType[] types :
                new DType[][] {{DType.F32, DType.F32}, {DType.BF16, DType.BF16}, {DType.BF16, DType.F32}}) {
            for (int trans = 0; trans < 4; trans++) {
                Case c = new Case(m, n, k, (trans & 1) != 0, (trans & 2) != 0, types[0], types[1], trans == 0 ? 0 : 5);
                c.check(0, null, null);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void addsBiasAddendAndDestination(int m, int n, int k) {
        for (DType[] types :
                new DType[][] {{DType.F32, DType.F32}, {DType.BF16, DType.BF16}, {DType.BF16, DType.F32}}) {
            Case c = new Case(m, n, k, false, true, types[0], types[1], 3);
            TensorView samePitch = TestMatrix.random(arena, types[1], m, n, 3, 4);
            TensorView otherPitch = TestMatrix.random(arena, types[1], m, n, 0, 5);
            c.check(1, null, null);
            c.check(0, samePitch, null);
            c.check(0, otherPitch, null);
            c.check(0, c.c, null);
            for (DType biasType : new DType[] {DType.F32, DType.BF16}) {
                TensorView bias = TestMatrix.random(arena, biasType, 1, n, 0, 6);
                c.check(0, null, bias);
                c.check(1, null, bias);
                c.check(0, samePitch, bias);
                c.check(0, otherPitch, bias);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void givesTheSameBitsEveryTime(int workers) {
        try (WorkerPool other = new WorkerPool(workers);
                MatMul first = create(other);
                MatMul second = create(other)) {
            for (DType type : new DType[] {DType.F32, DType.BF16}) {
                Case c = new Case(207, 577, 64, false, true, type, type, 0);
                first.multiply(c.a, false, c.b, true, c.c);
                byte[] once = TestMatrix.bytes(c.c);
                first.multiply(c.a, false, c.b, true, c.c);
                assertThat(TestMatrix.bytes(c.c)).isEqualTo(once);
                second.multiply(c.a, false, c.b, true, c.c);
                assertThat(TestMatrix.bytes(c.c)).isEqualTo(once);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void splitsAmongAnyNumberOfWorkers(int workers) {
        try (WorkerPool other = new WorkerPool(workers);
                MatMul split = create(other)) {
            Case c = new Case(207, 577, 64, true, false, DType.F32, DType.F32, 2);
            double[] expected = c.expected(0, null, null);
            split.multiply(c.a, true, c.b, false, c.c);
            c.assertClose(expected);
        }
    }

    @Test
    void keepsFloat32Precision() {
        // 1 + 2^-12 is no bf16 and no tf32 number: its square shows whether the inputs were shortened
        Tensor a = Tensor.of(HostMemory.borrowed(arena.allocate(64 * 64 * 4)), 0, DType.F32, 64, 64);
        for (int i = 0; i < 64 * 64; i++) {
            TestMatrix.set(HostAddress.segment(a), DType.F32, i, i % 65 == 0 ? 1 + 0x1p-12f : 0);
        }
        Tensor c = TestMatrix.random(arena, DType.F32, 64, 64, 0, 1);
        matMul.multiply(a, false, a, false, c);
        assertThat(TestMatrix.get(c, 5, 5)).isCloseTo(1 + 0x1p-11 + 0x1p-24, within(0x1p-22));
    }

    @Test
    void sumsOfNothingAreZeroPlusWhatIsAdded() {
        Case c = new Case(3, 7, 0, false, true, DType.F32, DType.F32, 0);
        c.check(0, null, TestMatrix.random(arena, DType.F32, 1, 7, 0, 9));
        c.check(1, null, null);
    }

    @Test
    void leavesEmptyResultsAlone() {
        Case c = new Case(0, 7, 3, false, true, DType.F32, DType.F32, 0);
        c.check(0, null, null);
    }

    @Test
    void worksOnHeadSlicesInsideTasks() {
        int tokens = 37;
        int heads = 3;
        int dim = 16;
        Tensor q = TestMatrix.random(arena, DType.F32, tokens, heads * dim, 0, 1);
        Tensor k = TestMatrix.random(arena, DType.F32, tokens, heads * dim, 0, 2);
        Tensor scores = TestMatrix.random(arena, DType.F32, heads * tokens, tokens, 0, 3);
        pool.forEachRange(heads, 1, (from, to, worker) -> {
            for (int h = from; h < to; h++) {
                matMul.multiplyOn(
                        worker,
                        q.columns(h * dim, (h + 1) * dim),
                        false,
                        k.columns(h * dim, (h + 1) * dim),
                        true,
                        scores.rows(h * tokens, (h + 1) * tokens));
            }
        });
        for (int h = 0; h < heads; h++) {
            double sum = 0;
            for (int d = 0; d < dim; d++) {
                sum += TestMatrix.get(q, 36, h * dim + d) * TestMatrix.get(k, 20, h * dim + d);
            }
            assertThat(TestMatrix.get(scores, h * tokens + 36, 20)).isCloseTo(sum, within(1e-5));
        }
    }

    @Test
    void refusesWhatDoesNotFit() {
        Tensor a = TestMatrix.random(arena, DType.F32, 2, 3, 0, 1);
        Tensor b = TestMatrix.random(arena, DType.F32, 4, 5, 0, 2);
        Tensor bf16 = TestMatrix.random(arena, DType.BF16, 3, 5, 0, 2);
        Tensor c = TestMatrix.random(arena, DType.F32, 2, 5, 0, 3);
        assertThatThrownBy(() -> matMul.multiply(a, false, b, false, c))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("shapes do not fit in matrix product f32[2, 3] · f32[4, 5] = f32[2, 5]");
        assertThatThrownBy(() -> matMul.multiply(a, false, bf16, false, c))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("types do not fit");
        Tensor fits = TestMatrix.random(arena, DType.F32, 3, 5, 0, 2);
        assertThatThrownBy(() -> matMul.multiply(a, false, fits, false, 0.5f, null, null, c))
                .hasMessageContaining("beta");
        assertThatThrownBy(() -> matMul.multiply(a, false, fits, false, 1, c, null, c))
                .hasMessageContaining("addend");
        assertThatThrownBy(() -> matMul.multiply(a, false, fits, false, 0, null, a, c))
                .hasMessageContaining("bias");
    }

    @Test
    void refusesMemoryOfAnotherEngine() {
        Memory device = new Memory() {
            @Override
            public long byteSize() {
                return 1024;
            }

            @Override
            public void close() {}
        };
        Tensor a = Tensor.of(device, 0, DType.F32, 2, 2);
        Tensor c = TestMatrix.random(arena, DType.F32, 2, 2, 0, 3);
        assertThatThrownBy(() -> matMul.multiply(a, false, a, false, c))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("does not lie in this machine's memory");
    }

    /** One product with its operands. */
    private final class Case {
        final boolean transA;
        final boolean transB;
        final int k;
        final Tensor a;
        final Tensor b;
        final Tensor c;

        Case(int m, int n, int k, boolean transA, boolean transB, DType inputs, DType output, int margin) {
            this.transA = transA;
            this.transB = transB;
            this.k = k;
            a = TestMatrix.random(arena, inputs, transA ? k : m, transA ? m : k, margin, 1);
            b = TestMatrix.random(arena, inputs, transB ? n : k, transB ? k : n, margin, 2);
            c = TestMatrix.random(arena, output, m, n, margin, 3);
        }

        void check(float beta, @Nullable TensorView addend, @Nullable TensorView bias) {
            double[] expected = expected(beta, addend, bias);
            byte[] before = TestMatrix.bytes(c);
            matMul.multiply(a, transA, b, transB, beta, addend, bias, c);
            assertClose(expected);
            assertThat(TestMatrix.leftMarginsAlone(c, before)).isTrue();
        }

        double[] expected(float beta, @Nullable TensorView addend, @Nullable TensorView bias) {
            double[][] rows = TestMatrix.values(a, transA);
            double[][] cols = TestMatrix.values(b, !transB);
            double[] values = new double[c.rows() * c.cols()];
            for (int i = 0; i < c.rows(); i++) {
                for (int j = 0; j < c.cols(); j++) {
                    double sum = bias == null ? 0 : TestMatrix.get(bias, 0, j);
                    sum += addend == null ? beta * TestMatrix.get(c, i, j) : TestMatrix.get(addend, i, j);
                    for (int p = 0; p < k; p++) {
                        sum += rows[i][p] * cols[j][p];
                    }
                    values[i * c.cols() + j] = sum;
                }
            }
            return values;
        }

        /**
         * Terms of about unit size: the sum of k of them is about √k, and forming it in float32 errs by up to √k roundings of
         * 2⁻²⁴ of that, k · 2⁻²⁴; the result is rounded to its type.
         */
        void assertClose(double[] expected) {
            for (int i = 0; i < c.rows(); i++) {
                for (int j = 0; j < c.cols(); j++) {
                    double value = expected[i * c.cols() + j];
                    double rounding = c.dtype() == DType.BF16 ? 0x1p-8 : 0x1p-22;
                    double tolerance = 0x1p-22 * (k + 4) + rounding * Math.abs(value);
                    double actual = TestMatrix.get(c, i, j);
                    if (!(Math.abs(actual - value) <= tolerance)) { // also where it's NaN
                        fail("c[%d, %d] of %s · %s = %s is %s, not %s", i, j, a, b, c, actual, value);
                    }
                }
            }
        }
    }
}
