package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.cuda.natives.EmulatorControl.Kind;
import dev.graft.engine.Dropout;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Projection;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Which matrix products a linear layer with adapters is made of: the frozen layer's own, somewhat larger, wherever there is room for
 * the low-rank factors. That the numbers are right is the engines' contract ({@code BorderConformance}).
 *
 * <p>The products are read off the failures of a call's launches, each in turn, which name them.
 */
class BorderedLinearTest {
    private static final int M = 21;
    private static final int K = 33;

    private static EmulatorControl control;

    @BeforeAll
    static void open() {
        control = Emulation.control();
    }

    @AfterEach
    void leaveNothing() {
        control.assertNothingViolated();
        control.assertNothingAlive();
        control.reset();
    }

    /** Makes operands as a model has them. */
    private static final class Layers implements AutoCloseable {
        private final CudaEngine engine;
        private final Workspace workspace;
        private final DType dtype;
        private final List<TensorView> weights = new ArrayList<>();
        private final Tensor x;

        Layers(int border, DType dtype) {
            this(Emulation.open(border), dtype);
        }

        Layers(CudaEngine engine, DType dtype) {
            this.engine = engine;
            this.workspace = new Workspace(engine);
            this.dtype = dtype;
            this.x = bordered(K);
        }

        Tensor bordered(int cols) {
            return workspace.bordered(MemoryKind.ACTIVATIONS, "x, y or dy", dtype, M, cols);
        }

        private Tensor tensor(DType type, int rows, int cols) {
            return workspace.tensor(MemoryKind.WORKSPACE, "factor", type, rows, cols);
        }

        TensorView frozen(int outputs) {
            var stored = Arena.ofAuto().allocate((long) outputs * K * dtype.byteSize(), 64);
            TensorView weight = engine.freeze(stored, dtype, outputs, K, dtype);
            weights.add(weight);
            return weight;
        }

        Projection projection(int outputs, LoraTerm... terms) {
            return new Projection(frozen(outputs), null, List.of(terms), bordered(outputs), null, null, null);
        }

        LoraTerm term(int from, int to, int outputs, int rank, @Nullable Dropout dropout) {
            LoraTerm.Gradients gradients = new LoraTerm.Gradients(
                    tensor(DType.F32, rank, K), tensor(DType.F32, outputs, rank), tensor(dtype, M, rank));
            return new LoraTerm(
                    from,
                    to,
                    tensor(dtype, rank, K),
                    tensor(dtype, outputs, rank),
                    1,
                    tensor(dtype, M, rank),
                    dropout,
                    dropout == null ? null : tensor(dtype, M, K),
                    gradients);
        }

        LoraTerm term(int outputs, int rank) {
            return term(0, M, outputs, rank, null);
        }

        @Override
        public void close() {
            weights.forEach(weight -> weight.memory().close());
            workspace.close();
            engine.close();
        }
    }

    private List<String> forward(Layers layers, Projection... projections) {
        return products(() -> layers.engine.linearForward(layers.x, List.of(projections)));
    }

    private List<String> backward(Layers layers, Projection... projections) {
        Tensor dx = layers.bordered(K);
        return products(() -> layers.engine.linearBackward(layers.x, List.of(projections), dx));
    }

    /** {@code [m, k] [k, n]}, and how many at once, of each product of a call. */
    private List<String> products(Runnable call) {
        long before = control.count(Kind.LAUNCH);
        call.run();
        long launches = control.count(Kind.LAUNCH) - before;
        List<String> products = new ArrayList<>();
        for (long n = 1; n <= launches; n++) {
            control.fail(Kind.LAUNCH, n);
            try {
                call.run();
                throw new AssertionError("launch " + n + " of " + launches + " did not fail");
            } catch (EngineFailure failure) {
                String text = failure.getMessage();
                if (text.startsWith("product of ")) {
                    products.add(text.substring(0, text.indexOf(" at once"))
                            .replaceFirst("product of \\S+ ", "")
                            .replace(" and", ","));
                }
            }
        }
        return products;
    }

    private static String product(int m, int k, int n) {
        return products(m, k, n, 1);
    }

    private static String products(int m, int k, int n, int atOnce) {
        return "[" + m + ", " + k + "], [" + k + ", " + n + "], " + atOnce;
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void anAdapterIsPartOfTheFrozenProduct(DType dtype) {
        try (Layers layers = new Layers(64, dtype)) {
            Projection adapted = layers.projection(28, layers.term(28, 16));
            assertThat(forward(layers, adapted)).containsExactly(product(M, K + 16, 28));
            assertThat(backward(layers, adapted)).containsExactly(product(M, 28 + 16, K));
        }
    }

    @Test
    void withoutBordersItIsAProductOfItsOwn() {
        try (Layers layers = new Layers(0, DType.F32)) {
            Projection adapted = layers.projection(28, layers.term(28, 16));
            assertThat(forward(layers, adapted)).containsExactly(product(M, K, 28), product(M, 16, 28));
            assertThat(backward(layers, adapted)).containsExactly(product(M, 28, K), product(M, 16, K));
        }
    }

    @Test
    void aLayerWithoutAdaptersIsItsOwnProductAlone() {
        try (Layers layers = new Layers(64, DType.F32)) {
            Projection frozen = layers.projection(28);
            assertThat(forward(layers, frozen)).containsExactly(product(M, K, 28));
            assertThat(backward(layers, frozen)).containsExactly(product(M, 28, K));
        }
    }

    /** Forward each reads the border of all three. Backward each has a border of its own. */
    @Test
    void queriesKeysAndValuesShareTheBorderOfTheirInput() {
        try (Layers layers = new Layers(64, DType.BF16)) {
            Projection q = layers.projection(28, layers.term(28, 16));
            Projection k = layers.projection(12, layers.term(12, 8));
            Projection v = layers.projection(12, layers.term(12, 5));
            assertThat(forward(layers, q, k, v))
                    .as("each buffer is an allocation of its own")
                    .containsExactly(product(M, K + 29, 28), product(M, K + 29, 12), product(M, K + 29, 12));
            assertThat(backward(layers, q, k, v))
                    .containsExactly(product(M, 28 + 16, K), product(M, 12 + 8, K), product(M, 12 + 5, K));
        }
    }

    @Test
    void equalProductsInOneAllocationAreABatch() {
        try (Layers layers = new Layers(Emulation.inOnePiece(64), DType.BF16)) {
            Projection gate = layers.projection(28, layers.term(28, 16));
            Projection up = layers.projection(28, layers.term(28, 16));
            Projection other = layers.projection(12);
            assertThat(forward(layers, gate, up, other)).containsExactly(products(M, K + 32, 28, 2), product(M, K, 12));
            assertThat(forward(layers, up, gate))
                    .as("the second lies before the first")
                    .containsExactly(product(M, K + 32, 28), product(M, K + 32, 28));
        }
    }

    @Test
    void aLayerThatNoRowAdaptsStaysAsItIsBesideOthers() {
        try (Layers layers = new Layers(64, DType.F32)) {
            Projection adapted = layers.projection(28, layers.term(28, 16));
            Projection frozen = layers.projection(12);
            Projection idle = layers.projection(20, layers.term(5, 5, 20, 9, null));
            assertThat(forward(layers, adapted, frozen, idle))
                    .containsExactly(product(M, K + 16, 28), product(M, K, 12), product(M, K, 20));
            assertThat(backward(layers, adapted, frozen, idle))
                    .containsExactly(product(M, 28 + 16, K), product(M, 12, K), product(M, 20, K));
        }
    }

    /** Each adapter has columns of its own; rows that belong to none have zeros there. */
    @Test
    void severalAdaptersAreStillOneProduct() {
        try (Layers layers = new Layers(64, DType.F32)) {
            Projection adapted = layers.projection(
                    28,
                    layers.term(0, 7, 28, 16, null),
                    layers.term(7, 7, 28, 30, null),
                    layers.term(9, M, 28, 4, null));
            assertThat(forward(layers, adapted)).containsExactly(product(M, K + 20, 28));
            assertThat(backward(layers, adapted)).containsExactly(product(M, 28 + 20, K));
        }
    }

    @Test
    void ranksThatDoNotFitAreMultipliedApart() {
        try (Layers layers = new Layers(16, DType.F32)) {
            Projection fits = layers.projection(28, layers.term(28, 16));
            assertThat(forward(layers, fits)).containsExactly(product(M, K + 16, 28));
            Projection tooWide = layers.projection(28, layers.term(28, 17));
            assertThat(forward(layers, tooWide)).containsExactly(product(M, K, 28), product(M, 17, 28));
            assertThat(backward(layers, tooWide)).containsExactly(product(M, 28, K), product(M, 17, K));
            Projection other = layers.projection(12, layers.term(12, 1));
            assertThat(forward(layers, fits, other))
                    .as("together 17")
                    .containsExactlyInAnyOrder(
                            product(M, K, 28), product(M, K, 12), product(M, 16, 28), product(M, 1, 12));
            assertThat(backward(layers, fits, other))
                    .as("each its own")
                    .containsExactly(product(M, 28 + 16, K), product(M, 12 + 1, K));
        }
    }

    /** dropout(x) is not x, but its h stands beside x all the same; dx of the adapter is masked, which dx of W0 is not. */
    @Test
    void dropoutIsOneProductForwardAndAKernelBackward() {
        try (Layers layers = new Layers(64, DType.F32)) {
            Projection adapted = layers.projection(28, layers.term(0, M, 28, 16, new Dropout(0.1f, 1, 2, 3)));
            assertThat(forward(layers, adapted)).containsExactly(product(M, K + 16, 28));
            assertThat(backward(layers, adapted)).containsExactly(product(M, 28, K));
        }
    }

    /** x, y or a weight from elsewhere (a bare layer, a range of a weight's rows) have no border and need none. */
    @Test
    void operandsWithoutABorderAreMultipliedApart() {
        try (Layers layers = new Layers(64, DType.F32)) {
            LoraTerm term = layers.term(28, 16);
            Projection bare = new Projection(
                    layers.tensor(DType.F32, 28, K).asReadOnly(),
                    null,
                    List.of(term),
                    layers.tensor(DType.F32, M, 28),
                    null,
                    null,
                    null);
            assertThat(forward(layers, bare)).containsExactly(product(M, K, 28), product(M, 16, 28));
            assertThat(backward(layers, bare)).containsExactly(product(M, 28, K), product(M, 16, K));
            Projection rows = new Projection(
                    layers.frozen(40).rows(3, 31), null, List.of(term), layers.bordered(28), null, null, null);
            assertThat(forward(layers, rows)).containsExactly(product(M, K, 28), product(M, 16, 28));
            assertThat(backward(layers, rows)).containsExactly(product(M, 28, K), product(M, 16, K));
        }
    }
}
