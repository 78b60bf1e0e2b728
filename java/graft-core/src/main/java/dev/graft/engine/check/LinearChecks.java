package dev.graft.engine.check;

import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/** Refuses projections and adapters that do not fit each other. */
final class LinearChecks {
    private LinearChecks() {}

    static void check(String operation, TensorView x, Projection p, @Nullable TensorView dx) {
        int n = p.weight().rows();
        int k = x.cols();
        int m = x.rows();
        Checks.shapes(p.weight().cols() == k, operation, "x", x, "weight", p.weight());
        Object[] named = {
            "x",
            x,
            "weight",
            p.weight(),
            "bias",
            p.bias(),
            "y",
            p.y(),
            "residual",
            p.residual(),
            "dx",
            dx,
            "weightGradient",
            p.weightGradient(),
            "biasGradient",
            p.biasGradient()
        };
        Checks.shapes(
                Checks.isShape(p.bias(), 1, n)
                        && Checks.isShape(p.y(), m, n)
                        && Checks.isShape(p.residual(), m, n)
                        && Checks.isShape(dx, m, k)
                        && Checks.isShape(p.weightGradient(), n, k)
                        && Checks.isShape(p.biasGradient(), 1, n),
                operation,
                named);
        Checks.dtypes(
                Checks.sameCompute(x, p.weight(), p.bias(), dx)
                        && isOutput(x, p, dx)
                        && Checks.isF32(p.weightGradient())
                        && Checks.isF32(p.biasGradient()),
                operation,
                named);
        for (LoraTerm term : p.lora()) {
            checkTerm(operation, x, p, term);
        }
    }

    /** Outputs have the compute dtype; forward they may also be F32, which is what the loss wants of logits. */
    private static boolean isOutput(TensorView x, Projection p, @Nullable TensorView dx) {
        TensorView residual = p.residual();
        boolean sameAsY = residual == null || residual.dtype() == p.y().dtype();
        return sameAsY && (p.y().dtype() == x.dtype() || (dx == null && Checks.isF32(p.y())));
    }

    private static void checkTerm(String operation, TensorView x, Projection p, LoraTerm term) {
        int rows = term.toRow() - term.fromRow();
        Checks.shapes(
                term.fromRow() >= 0 && rows >= 0 && term.toRow() <= x.rows(),
                operation + ", adapter on rows " + term.fromRow() + " to " + term.toRow(),
                "x",
                x);
        TensorView dropped = term.dropped();
        LoraTerm.Gradients gradients = term.gradients();
        TensorView da = gradients == null ? null : gradients.a();
        TensorView db = gradients == null ? null : gradients.b();
        TensorView u = gradients == null ? null : gradients.hidden();
        Object[] named = {
            "x",
            x,
            "weight",
            p.weight(),
            "A",
            term.a(),
            "B",
            term.b(),
            "hidden",
            term.hidden(),
            "dropped",
            dropped,
            "dA",
            da,
            "dB",
            db,
            "gradient's hidden",
            u
        };
        int r = term.rank();
        int n = p.weight().rows();
        int k = x.cols();
        Checks.shapes(
                Checks.isShape(term.a(), r, k)
                        && Checks.isShape(term.b(), n, r)
                        && holds(term.hidden(), rows, r)
                        && holds(dropped, rows, k)
                        && Checks.isShape(da, r, k)
                        && Checks.isShape(db, n, r)
                        && holds(u, rows, r),
                operation,
                named);
        Checks.dtypes(
                Checks.sameCompute(x, term.a(), term.b(), term.hidden(), dropped, u)
                        && Checks.isF32(da)
                        && Checks.isF32(db),
                operation,
                named);
    }

    /** Whether a buffer, if there is one, has at least {@code rows} rows of {@code cols}. */
    private static boolean holds(@Nullable TensorView buffer, int rows, int cols) {
        return buffer == null || (buffer.rows() >= rows && buffer.cols() == cols);
    }
}
