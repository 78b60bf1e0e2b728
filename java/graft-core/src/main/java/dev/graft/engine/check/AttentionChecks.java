package dev.graft.engine.check;

import dev.graft.engine.AttentionShape;
import dev.graft.engine.Sequences;
import dev.graft.tensor.TensorView;

/** Refuses attention's operands where they do not fit each other. */
final class AttentionChecks {
    private AttentionChecks() {}

    static void check(
            String operation,
            AttentionShape shape,
            Sequences sequences,
            TensorView logSumExp,
            TensorView q,
            TensorView k,
            TensorView v) {
        Object[] named = {"q", q, "k", k, "v", v, "logSumExp", logSumExp};
        int queryCols = Math.multiplyExact(shape.heads(), shape.headDim());
        int keyCols = Math.multiplyExact(shape.keyValueHeads(), shape.headDim());
        boolean fit = q.cols() == queryCols
                && k.cols() == keyCols
                && Checks.sameShape(k, v)
                && Checks.isShape(logSumExp, q.rows(), shape.heads());
        Checks.shapes(fit, operation + ", " + shape, named);
        Checks.dtypes(Checks.sameCompute(q, k, v) && Checks.isF32(logSumExp), operation, named);
        for (int i = 0; i < sequences.count(); i++) {
            boolean inside = (long) sequences.queryStart()[i] + sequences.queryLength()[i] <= q.rows()
                    && (long) sequences.keyStart()[i] + sequences.keyLength()[i] <= k.rows();
            Checks.shapes(inside, operation + ", whose sequence " + i + " ends outside", named);
        }
    }

    /** Refuses {@code other} where it has not the shape and dtype of {@code model}. */
    static void same(String operation, String modelName, TensorView model, String name, TensorView other) {
        Checks.shapes(Checks.sameShape(model, other), operation, modelName, model, name, other);
        Checks.dtypes(Checks.sameCompute(model, other), operation, modelName, model, name, other);
    }
}
