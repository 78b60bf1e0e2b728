package dev.graft.cpu.kernels;

import dev.graft.engine.Dropout;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import java.util.List;
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

    /** Terms that dx may be summed up from in bf16 itself; sums of more are formed in float32 and rounded once. */
    private static final int MOST_ROUNDINGS = 2;

    /** Rows of dx that are summed up in float32 at a time, which bounds the memory that it takes. */
    private static final int ROWS_PER_BLOCK = 512;

    // buffers of all workers
    private static final int PRODUCT = 0;
    private static final int SUMS = 1;

    private Linear() {}

    public static void forward(Workbench bench, TensorView x, List<Projection> projections) {
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
        int additions = 0;
        for (Projection p : projections) {
            parameterGradients(bench, x, p);
            additions += 1 + p.lora().size();
        }
        if (dx == null) {
            return;
        }
        if (dx.dtype() == DType.F32 || additions <= MOST_ROUNDINGS) {
            inputGradient(bench, projections, 0, dx);
            return;
        }
        for (int from = 0; from < dx.rows(); from += ROWS_PER_BLOCK) {
            int to = Math.min(dx.rows(), from + ROWS_PER_BLOCK);
            Tensor sums = bench.scratch.sharedTensor(SUMS, DType.F32, to - from, dx.cols());
            inputGradient(bench, projections, from, sums);
            Transfer.convert(bench, sums, dx.rows(from, to));
        }
    }

    /** All but dx; leaves every adapter's u in its buffer. */
    private static void parameterGradients(Workbench bench, TensorView x, Projection p) {
        Tensor weightGradient = p.weightGradient();
        if (weightGradient != null) {
            bench.matMul.multiply(p.y(), true, x, false, 1, null, null, weightGradient);
        }
        Tensor biasGradient = p.biasGradient();
        if (biasGradient != null) {
            addColumnSums(bench, p.y(), biasGradient);
        }
        for (LoraTerm term : p.lora()) {
            LoraTerm.Gradients gradients = term.requireGradients();
            int n = term.toRow() - term.fromRow();
            if (n > 0) {
                Tensor dy = p.y().rows(term.fromRow(), term.toRow());
                Tensor u = gradients.hidden().rows(0, n);
                Tensor h = term.hidden().rows(0, n);
                scaledProduct(bench, dy, term.b(), false, term.scale(), u);
                bench.matMul.multiply(u, true, adapterInput(bench, x, term), false, 1, null, null, gradients.a());
                bench.matMul.multiply(dy, true, h, false, 1, null, null, gradients.b());
            }
        }
    }

    /** {@code dx = Σ dy W + u A}, for rows {@code from} and following, as many as dx has. */
    private static void inputGradient(Workbench bench, List<Projection> projections, int from, Tensor dx) {
        if (projections.isEmpty()) {
            Transfer.zero(bench, dx);
        }
        int to = from + dx.rows();
        float beta = 0;
        for (Projection p : projections) {
            bench.matMul.multiply(p.y().rows(from, to), false, p.weight(), false, beta, null, null, dx);
            beta = 1;
            for (LoraTerm term : p.lora()) {
                int first = Math.max(from, term.fromRow());
                int last = Math.min(to, term.toRow());
                if (first < last) {
                    inputGradient(bench, term, first, last, dx.rows(first - from, last - from));
                }
            }
        }
    }

    /** {@code dx += u A} for rows {@code first} to {@code last} of the micro-batch, which lie within the adapter's. */
    private static void inputGradient(Workbench bench, LoraTerm term, int first, int last, Tensor dx) {
        Tensor u = term.requireGradients().hidden().rows(first - term.fromRow(), last - term.fromRow());
        Dropout dropout = activeDropout(term);
        if (dropout == null) {
            bench.matMul.multiply(u, false, term.a(), false, 1, null, null, dx);
        } else {
            Tensor undropped = dropped(term, last - first); // dropout(x) is not needed any more
            bench.matMul.multiply(u, false, term.a(), false, undropped);
            LoraDropout.backward(bench, dropout, undropped, first, dx);
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
        Tensor product = f32 ? c : bench.scratch.sharedTensor(PRODUCT, DType.F32, c.rows(), c.cols());
        bench.matMul.multiply(a, false, b, transB, product);
        if (f32 && scale == 1) {
            return;
        }
        int r = c.cols();
        bench.forRows(c.rows(), r, (from, to, worker) -> {
            float[] row = bench.scratch.floats(worker, 0, r);
            for (int m = from; m < to; m++) {
                Rows.load(product, m, row);
                FloatRows.multiply(row, scale, r);
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
                Arrays.fill(part, 0, Lanes.roundUp(n), 0);
                for (int m = first; m < Math.min(rows, first + ROWS_PER_PARTIAL_SUM); m++) {
                    Rows.load(dy, m, from, n, row, 0);
                    FloatRows.add(part, row, n);
                }
                FloatRows.add(sum, part, n);
            }
            Rows.store(sum, 0, sums, 0, from, n);
        });
    }
}
