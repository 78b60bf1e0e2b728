package dev.graft.cpu.kernels;

import dev.graft.engine.Dropout;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * Linear layers with low-rank adapters; x [M, K], W [N, K], A [r, K], B [N, r], y [M, N].
 *
 * <pre>
 *   forward    y = x Wᵀ + bias [+ residual],  then per adapter and its rows  h = s x Aᵀ,  y += h Bᵀ
 *   backward   dx = Σ dy W,  dW += dyᵀ x,  dbias += Σ dy,
 *              then per adapter and its rows  u = s dy B,  dx += u A,  dA += uᵀ x,  dB += dyᵀ h
 * </pre>
 *
 * With dropout, x is dropout(x) in all that concerns A.
 */
public final class Linear {
    /** Rows whose contributions to dbias are summed up before they are added. */
    private static final int ROWS_PER_PARTIAL_SUM = 64;

    private Linear() {}

    public static void forward(Workbench bench, TensorView x, List<Projection> projections) {
        for (Projection projection : projections) {
            LinearChecks.check("linearForward", x, projection, null);
        }
        for (Projection p : projections) {
            bench.matMul.multiply(x, false, p.weight(), true, 0, p.residual(), p.bias(), p.y());
            for (LoraTerm term : p.lora()) {
                if (term.toRow() > term.fromRow()) {
                    forward(bench, x, term, p.y());
                }
            }
        }
    }

    private static void forward(Workbench bench, TensorView x, LoraTerm term, Tensor y) {
        Tensor h = term.hidden().rows(0, term.toRow() - term.fromRow());
        scaledProduct(bench, adapterInput(bench, x, term), term.a(), true, term.scale(), h);
        Tensor yRows = y.rows(term.fromRow(), term.toRow());
        bench.matMul.multiply(h, false, term.b(), true, 1, null, null, yRows);
    }

    public static void backward(Workbench bench, TensorView x, List<Projection> projections, @Nullable Tensor dx) {
        for (Projection projection : projections) {
            LinearChecks.check("linearBackward", x, projection, dx);
        }
        if (projections.isEmpty() && dx != null) {
            Transfer.zero(bench, dx);
        }
        boolean first = true;
        for (Projection p : projections) {
            Tensor dy = p.y();
            if (dx != null) {
                bench.matMul.multiply(dy, false, p.weight(), false, first ? 0 : 1, null, null, dx);
            }
            first = false;
            Tensor weightGradient = p.weightGradient();
            if (weightGradient != null) {
                bench.matMul.multiply(dy, true, x, false, 1, null, null, weightGradient);
            }
            Tensor biasGradient = p.biasGradient();
            if (biasGradient != null) {
                addColumnSums(bench, dy, biasGradient);
            }
            for (LoraTerm term : p.lora()) {
                if (term.toRow() > term.fromRow() && (dx != null || term.gradients() != null)) {
                    backward(bench, x, term, dy.rows(term.fromRow(), term.toRow()), dx);
                }
            }
        }
    }

    private static void backward(Workbench bench, TensorView x, LoraTerm term, Tensor dy, @Nullable Tensor dx) {
        int n = dy.rows();
        LoraTerm.Gradients gradients = term.gradients();
        Tensor u = gradients == null
                ? bench.scratch.sharedTensor(1, dy.dtype(), n, term.rank())
                : gradients.hidden().rows(0, n);
        scaledProduct(bench, dy, term.b(), false, term.scale(), u);
        if (gradients != null) {
            bench.matMul.multiply(u, true, adapterInput(bench, x, term), false, 1, null, null, gradients.a());
            Tensor h = term.hidden().rows(0, n);
            bench.matMul.multiply(dy, true, h, false, 1, null, null, gradients.b());
        }
        if (dx == null) {
            return;
        }
        Tensor dxRows = dx.rows(term.fromRow(), term.toRow());
        Dropout dropout = activeDropout(term);
        if (dropout == null) {
            bench.matMul.multiply(u, false, term.a(), false, 1, null, null, dxRows);
        } else {
            Tensor undropped = dropped(term, n);
            bench.matMul.multiply(u, false, term.a(), false, undropped);
            LoraDropout.backward(bench, dropout, undropped, term.fromRow(), dxRows);
        }
    }

    /** This adapter's rows of x, after dropout. */
    private static TensorView adapterInput(Workbench bench, TensorView x, LoraTerm term) {
        TensorView rows = x.rows(term.fromRow(), term.toRow());
        Dropout dropout = activeDropout(term);
        if (dropout == null) {
            return rows;
        }
        Tensor dropped = dropped(term, rows.rows());
        LoraDropout.forward(bench, dropout, rows, term.fromRow(), dropped);
        return dropped;
    }

    private static @Nullable Dropout activeDropout(LoraTerm term) {
        Dropout dropout = term.dropout();
        return dropout == null || dropout.probability() == 0 ? null : dropout;
    }

    private static Tensor dropped(LoraTerm term, int n) {
        Tensor dropped = term.dropped();
        if (dropped == null) {
            throw new IllegalArgumentException("an adapter with dropout needs a buffer for dropout(x)");
        }
        return dropped.rows(0, n);
    }

    /** {@code c = scale · a op(b)}, rounded once. */
    private static void scaledProduct(
            Workbench bench, TensorView a, TensorView b, boolean transB, float scale, Tensor c) {
        boolean f32 = c.dtype() == DType.F32;
        Tensor product = f32 ? c : bench.scratch.sharedTensor(0, DType.F32, c.rows(), c.cols());
        bench.matMul.multiply(a, false, b, transB, product);
        if (f32 && scale == 1) {
            return;
        }
        int r = c.cols();
        bench.forRows(c.rows(), r, (from, to, worker) -> {
            float[] row = bench.scratch.floats(worker, 0, r);
            for (int m = from; m < to; m++) {
                Rows.load(product, m, row);
                for (int i = 0; i < r; i++) {
                    row[i] *= scale;
                }
                Rows.store(row, c, m);
            }
        });
    }

    /** {@code sums += Σ} over the rows of dy. */
    private static void addColumnSums(Workbench bench, TensorView dy, Tensor sums) {
        int rows = dy.rows();
        bench.forColumns(rows, dy.cols(), (from, to, worker) -> {
            int n = to - from;
            float[] sum = bench.scratch.floats(worker, 0, n);
            float[] part = bench.scratch.floats(worker, 1, n);
            float[] row = bench.scratch.floats(worker, 2, n);
            Rows.load(sums, 0, from, n, sum, 0);
            for (int first = 0; first < rows; first += ROWS_PER_PARTIAL_SUM) {
                Arrays.fill(part, 0);
                for (int m = first; m < Math.min(rows, first + ROWS_PER_PARTIAL_SUM); m++) {
                    Rows.load(dy, m, from, n, row, 0);
                    add(part, row, n);
                }
                add(sum, part, n);
            }
            Rows.store(sum, 0, sums, 0, from, n);
        });
    }

    private static void add(float[] sum, float[] term, int n) {
        for (int i = 0; i < n; i += Lanes.COUNT) {
            FloatVector.fromArray(Lanes.FLOAT, sum, i)
                    .add(FloatVector.fromArray(Lanes.FLOAT, term, i))
                    .intoArray(sum, i);
        }
    }
}
