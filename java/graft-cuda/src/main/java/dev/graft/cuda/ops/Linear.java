package dev.graft.cuda.ops;

import dev.graft.cuda.driver.Device.Factor;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Linear layers with low-rank adapters; x [M, K], W [N, K], A [r, K], B [N, r], y [M, N]. Two ways to the same numbers:
 *
 * <pre>
 *   bordered   y  = [x | h] · [W0 | B]ᵀ,       h = s dropout(x) Aᵀ    one product forward,
 *              dx = Σ [dy | u] · [W0 ; A],     u = s dy B             one a projection backward
 *   plain      y  = x W0ᵀ,  y += h Bᵀ
 *              dx = Σ dy W0,  dx += u A
 * </pre>
 *
 * Bordered needs a {@link FrozenMatrix} and room beside x and dy ({@link TensorView#border}); without dropout also backward, whose
 * mask applies to the adapter's part of dx alone. Where something is missing, that product is done the plain way. The adapters'
 * gradients come from our kernels in both: {@code dB += dyᵀ h} in the pass over dy that makes u, {@code dA += uᵀ dropout(x)} in one
 * pass over x.
 */
public final class Linear {
    private final Gpu gpu;
    private final LowRank lowRank;
    private final boolean tf32;

    /** @param tf32 whether float32 products may be rounded to TF32 */
    public Linear(Gpu gpu, boolean tf32) {
        this.gpu = gpu;
        this.lowRank = new LowRank(gpu);
        this.tf32 = tf32;
    }

    // ---- forward

    public void forward(TensorView x, List<Projection> projections) {
        Borders borders = Borders.of(projections);
        boolean bordered = isBorderedForward(x, projections, borders);
        if (bordered && !borders.coverAll(x.rows())) {
            gpu.zero(borders.of(x)); // rows without an adapter
        }
        lowRank.shrinkInput(x, borders, bordered);
        List<Product> products = new ArrayList<>(projections.size());
        for (Projection p : projections) {
            boolean adds = fill(p);
            boolean joined = bordered && borders.has(p);
            if (joined) {
                writeRight(p, borders);
            }
            int inner = x.cols() + (joined ? borders.width() : 0);
            products.add(new Product(
                    false,
                    true,
                    x.rows(),
                    p.weight().rows(),
                    inner,
                    factor(x),
                    factor(p.weight()),
                    factor(p.y()),
                    adds));
        }
        run(products);
        if (!bordered) {
            projections.forEach(this::expand);
        }
    }

    private static boolean isBorderedForward(TensorView x, List<Projection> projections, Borders borders) {
        if (borders.width() == 0 || x.border() < borders.width()) {
            return false;
        }
        Set<FrozenMatrix> written = new HashSet<>();
        for (Projection p : projections) {
            FrozenMatrix matrix = FrozenMatrix.of(p.weight());
            // a weight that two projections share has one border for two adapters
            if (borders.has(p) && (matrix == null || matrix.border() < borders.width() || !written.add(matrix))) {
                return false;
            }
        }
        return true;
    }

    /** {@code y = bias + residual}, which the product is then added to; returns whether there was either. */
    private boolean fill(Projection p) {
        TensorView bias = p.bias();
        TensorView residual = p.residual();
        if (bias == null && residual == null) {
            return false;
        }
        Tensor y = p.y();
        gpu.check(
                gpu.kernels()
                        .fillRows(
                                gpu.stream(),
                                Gpu.code(y.dtype()),
                                gpu.atOrZero(bias),
                                Gpu.code(bias == null ? y.dtype() : bias.dtype()),
                                gpu.atOrZero(residual),
                                residual == null ? 0 : residual.pitch(),
                                gpu.at(y),
                                y.pitch(),
                                y.rows(),
                                y.cols()),
                "linearForward",
                "y",
                y,
                "bias",
                bias,
                "residual",
                residual);
        return true;
    }

    /** B's of this projection to the right of W0, at their columns of the border; zeros in those of the others. */
    private void writeRight(Projection p, Borders borders) {
        FrozenMatrix matrix = Objects.requireNonNull(FrozenMatrix.of(p.weight()));
        if (matrix.changeRightLayout(borders.layout(p))) {
            gpu.zero(matrix.right(0, borders.width()));
        }
        for (Borders.Slot slot : borders.slots(p)) {
            gpu.convert(slot.term().b(), matrix.right(slot.column(), slot.term().rank()));
        }
    }

    /** {@code y += h Bᵀ}: one adapter on all rows is a product for cuBLAS, several are a kernel's. */
    private void expand(Projection p) {
        List<LoraTerm> terms = Borders.active(p);
        Tensor y = p.y();
        if (terms.size() == 1) {
            LoraTerm term = terms.getFirst();
            Tensor rows = y.rows(term.fromRow(), term.toRow());
            multiply(false, true, rows.rows(), rows.cols(), term.rank(), term.hidden(), term.b(), rows, true);
        } else {
            lowRank.expandOutput(y, terms);
        }
    }

    // ---- backward

    public void backward(TensorView x, List<Projection> projections, @Nullable Tensor dx) {
        List<Side> sides = projections.stream().map(p -> Side.of(p, dx != null)).toList();
        for (Side side : sides) {
            Projection p = side.projection;
            baseGradients(x, p);
            if (side.joined && !side.borders.coverAll(x.rows())) {
                gpu.zero(side.borders.of(p.y()));
            }
            lowRank.shrinkGradient(p, side.borders, side.joined);
        }
        Borders borders = Borders.of(projections);
        // dA reads x, which bytes bind, and dx is a product, which operations bind: neither needs the other
        boolean aside = gpu.device().settings().overlaps() && dx != null && borders.width() > 0;
        if (aside) {
            gpu.device().fork();
        }
        lowRank.inputFactorGradient(x, borders, aside);
        if (dx != null) {
            inputGradient(sides, dx);
        }
        if (aside) {
            gpu.device().join();
        }
    }

    private void inputGradient(List<Side> sides, Tensor dx) {
        if (sides.isEmpty()) {
            gpu.zero(dx);
        }
        boolean adds = false;
        for (Side side : sides) {
            inputGradient(side, dx, adds);
            adds = true;
        }
    }

    /**
     * A projection on its way back.
     *
     * @param borders how its adapters share the border of dy
     * @param joined whether they take part in the product with W0
     */
    private record Side(Projection projection, Borders borders, boolean joined) {
        static Side of(Projection p, boolean needsInputGradient) {
            Borders borders = Borders.of(List.of(p));
            int width = borders.width();
            FrozenMatrix matrix = FrozenMatrix.of(p.weight());
            boolean joined = needsInputGradient
                    && width > 0
                    && p.y().border() >= width
                    && matrix != null
                    && matrix.border() >= width
                    && borders.slots().stream().map(Borders.Slot::term).noneMatch(LowRank::drops);
            return new Side(p, borders, joined);
        }
    }

    /** {@code dW += dyᵀ x}, {@code dbias += Σ dy}, where they are trained. */
    private void baseGradients(TensorView x, Projection p) {
        Tensor weightGradient = p.weightGradient();
        if (weightGradient != null) {
            multiply(true, false, p.y().cols(), x.cols(), x.rows(), p.y(), x, weightGradient, true);
        }
        Tensor biasGradient = p.biasGradient();
        if (biasGradient != null) {
            Tensor dy = p.y();
            gpu.check(
                    gpu.kernels()
                            .addColumnSums(
                                    gpu.stream(),
                                    Gpu.code(dy.dtype()),
                                    gpu.at(dy),
                                    dy.pitch(),
                                    dy.rows(),
                                    dy.cols(),
                                    gpu.at(biasGradient),
                                    gpu.scratch(),
                                    gpu.scratchBytes()),
                    "linearBackward",
                    "dy",
                    dy,
                    "biasGradient",
                    biasGradient);
        }
    }

    private void inputGradient(Side side, Tensor dx, boolean adds) {
        Projection p = side.projection;
        Tensor dy = p.y();
        int inner = dy.cols();
        if (side.joined) {
            FrozenMatrix matrix = Objects.requireNonNull(FrozenMatrix.of(p.weight()));
            for (Borders.Slot slot : side.borders.slots()) {
                gpu.convert(
                        slot.term().a(), matrix.below(slot.column(), slot.term().rank()));
            }
            inner += side.borders.width();
        }
        multiply(false, false, dx.rows(), dx.cols(), inner, dy, p.weight(), dx, adds);
        if (side.joined) {
            return;
        }
        for (Borders.Slot slot : side.borders.slots()) {
            LoraTerm term = slot.term();
            if (LowRank.drops(term)) {
                lowRank.expandGradient(dx, term);
            } else {
                Tensor rows = dx.rows(term.fromRow(), term.toRow());
                multiply(
                        false,
                        false,
                        rows.rows(),
                        rows.cols(),
                        term.rank(),
                        term.requireGradients().hidden(),
                        term.a(),
                        rows,
                        true);
            }
        }
    }

    // ---- products

    private record Product(
            boolean transA, boolean transB, int m, int n, int k, Factor a, Factor b, Factor c, boolean accumulate) {
        /**
         * Whether two products differ in nothing but where their matrices lie, later ones further up in memory. Batched products may
         * differ in their last bits from single ones, so which are batched must not depend on how the driver hands out memory.
         */
        boolean goesWith(Product next) {
            return transA == next.transA
                    && transB == next.transB
                    && m == next.m
                    && n == next.n
                    && k == next.k
                    && accumulate == next.accumulate
                    && stride(a, next.a) >= 0
                    && stride(b, next.b) >= 0
                    && stride(c, next.c) > 0;
        }

        /** Elements from one matrix to another; -1 where they cannot be of one batch. */
        static long stride(Factor from, Factor to) {
            long bytes = to.address() - from.address();
            boolean alike = from.dtype() == to.dtype() && from.pitch() == to.pitch() && from.piece() == to.piece();
            int size = from.dtype().byteSize();
            return alike && bytes >= 0 && bytes % size == 0 ? bytes / size : -1;
        }
    }

    /** Runs products; two in a row that are alike (keys and values, gate and up) as one batched call. */
    private void run(List<Product> products) {
        for (int i = 0; i < products.size(); i++) {
            Product p = products.get(i);
            Product next = i + 1 < products.size() ? products.get(i + 1) : p;
            boolean pair = next != p && p.goesWith(next);
            gpu.device()
                    .multiply(
                            p.transA,
                            p.transB,
                            p.m,
                            p.n,
                            p.k,
                            p.a,
                            pair ? Product.stride(p.a, next.a) : 0,
                            p.b,
                            pair ? Product.stride(p.b, next.b) : 0,
                            p.c,
                            pair ? Product.stride(p.c, next.c) : 0,
                            pair ? 2 : 1,
                            p.accumulate,
                            usesTf32(p.a));
            i += pair ? 1 : 0;
        }
    }

    private void multiply(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            TensorView a,
            TensorView b,
            TensorView c,
            boolean accumulate) {
        Factor left = factor(a);
        gpu.device().multiply(transA, transB, m, n, k, left, factor(b), factor(c), accumulate, usesTf32(left));
    }

    private boolean usesTf32(Factor factor) {
        return tf32 && factor.dtype() == DType.F32;
    }

    private Factor factor(TensorView view) {
        return gpu.device().factor(view);
    }
}
