package dev.graft.engine.check;

import static dev.graft.engine.check.Checks.dtypes;
import static dev.graft.engine.check.Checks.isCompute;
import static dev.graft.engine.check.Checks.isF32;
import static dev.graft.engine.check.Checks.isShape;
import static dev.graft.engine.check.Checks.sameCompute;
import static dev.graft.engine.check.Checks.sameShape;
import static dev.graft.engine.check.Checks.shapes;

import dev.graft.engine.AttentionShape;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One check for each operation of {@link dev.graft.engine.Engine}, with its parameters: shapes and dtypes that do not fit each
 * other are refused with an {@link IllegalArgumentException} of one line, {@code shape mismatch in rope: x f32[5, 576], …}. What
 * lies in device memory (indices) is not looked at.
 */
public final class Operands {
    private Operands() {}

    public static void freeze(MemorySegment stored, DType storedType, int rows, int cols, DType compute) {
        boolean known = storedType.isFloat() && isCompute(compute);
        if (!known || stored.byteSize() != (long) rows * cols * storedType.byteSize()) {
            throw new IllegalArgumentException("cannot freeze " + stored.byteSize() + " bytes as " + storedType + " ["
                    + rows + ", " + cols + "] for computing in " + compute);
        }
    }

    public static void upload(float[] source, Tensor destination) {
        shapes(
                destination.isContiguous() && source.length == destination.size(),
                "upload",
                source.length + " floats to",
                destination);
        dtypes(isCompute(destination.dtype()), "upload", "destination", destination);
    }

    public static void upload(int[] source, Tensor destination) {
        shapes(
                destination.isContiguous() && source.length <= destination.size(),
                "upload",
                source.length + " integers to",
                destination);
        dtypes(destination.dtype() == DType.I32, "upload", "destination", destination);
    }

    public static void download(TensorView source) {
        shapes(source.size() <= Integer.MAX_VALUE - 8, "download", "source", source);
        dtypes(source.dtype() == DType.I32 || source.dtype().isFloat(), "download", "source", source);
    }

    public static void convert(TensorView source, Tensor destination) {
        Object[] named = {"source", source, "destination", destination};
        shapes(sameShape(source, destination), "convert", named);
        dtypes(source.dtype().isFloat() && isCompute(destination.dtype()), "convert", named);
    }

    public static void gatherRows(TensorView table, TensorView index, Tensor y) {
        indexed("gatherRows", table, index, y);
    }

    public static void scatterAddRows(TensorView y, TensorView index, Tensor table) {
        indexed("scatterAddRows", table, index, y);
    }

    private static void indexed(String operation, TensorView table, TensorView index, TensorView y) {
        Object[] named = {"table", table, "index", index, "y", y};
        shapes(table.cols() == y.cols() && isShape(index, 1, y.rows()), operation, named);
        boolean sameInGather = operation.startsWith("scatter") || table.dtype() == y.dtype();
        dtypes(
                index.dtype() == DType.I32 && isCompute(table.dtype()) && isCompute(y.dtype()) && sameInGather,
                operation,
                named);
    }

    public static void linearForward(TensorView x, List<Projection> projections) {
        for (Projection projection : projections) {
            LinearChecks.check("linearForward", x, projection, null);
        }
    }

    public static void linearBackward(TensorView x, List<Projection> projections, @Nullable Tensor dx) {
        for (Projection projection : projections) {
            LinearChecks.check("linearBackward", x, projection, dx);
            projection.lora().forEach(LoraTerm::requireGradients);
        }
    }

    public static void rowNorms(TensorView weight, TensorView a, TensorView b, Tensor norms) {
        Object[] named = {"weight", weight, "A", a, "B", b, "norms", norms};
        int rows = weight.rows();
        shapes(a.cols() == weight.cols() && isShape(b, rows, a.rows()) && isShape(norms, 1, rows), "rowNorms", named);
        dtypes(isCompute(weight.dtype()) && isF32(a) && isF32(b) && isF32(norms), "rowNorms", named);
    }

    public static void rescaleForward(
            TensorView z,
            @Nullable TensorView magnitude,
            @Nullable TensorView norms,
            @Nullable TensorView bias,
            @Nullable TensorView residual,
            Tensor y) {
        Object[] named = {"z", z, "magnitude", magnitude, "norms", norms, "bias", bias, "residual", residual, "y", y};
        shapes(
                (magnitude == null) == (norms == null)
                        && isShape(magnitude, 1, z.cols())
                        && isShape(norms, 1, z.cols())
                        && isShape(bias, 1, z.cols())
                        && isShape(residual, z.rows(), z.cols())
                        && sameShape(z, y),
                "rescaleForward",
                named);
        boolean biasFits = bias == null || bias.dtype() == z.dtype() || (isCompute(bias.dtype()) && isF32(z));
        dtypes(sameCompute(z, residual, y) && isF32(magnitude) && isF32(norms) && biasFits, "rescaleForward", named);
    }

    public static void rescaleBackward(
            TensorView dy, TensorView z, TensorView magnitude, TensorView norms, Tensor dz, Tensor magnitudeGradient) {
        Object[] named = {
            "dy", dy, "z", z, "magnitude", magnitude, "norms", norms, "dz", dz, "magnitudeGradient", magnitudeGradient
        };
        shapes(
                sameShape(dy, z)
                        && sameShape(dy, dz)
                        && isShape(magnitude, 1, dy.cols())
                        && isShape(norms, 1, dy.cols())
                        && isShape(magnitudeGradient, 1, dy.cols()),
                "rescaleBackward",
                named);
        dtypes(
                sameCompute(dy, dz)
                        && (z.dtype() == dy.dtype() || isF32(z))
                        && isF32(magnitude)
                        && isF32(norms)
                        && isF32(magnitudeGradient),
                "rescaleBackward",
                named);
    }

    public static void dropout(TensorView x, Tensor y) {
        Object[] named = {"x", x, "y", y};
        shapes(sameShape(x, y), "dropout", named);
        dtypes(sameCompute(x, y), "dropout", named);
    }

    public static void rmsNormForward(TensorView x, TensorView weight, Tensor y, Tensor rstd) {
        rmsNorm("rmsNormForward", x, weight, rstd, "y", y, null, null);
    }

    public static void rmsNormBackward(
            TensorView dy,
            TensorView x,
            TensorView weight,
            TensorView rstd,
            Tensor dx,
            @Nullable Tensor weightGradient) {
        rmsNorm("rmsNormBackward", x, weight, rstd, "dy", dy, dx, weightGradient);
    }

    private static void rmsNorm(
            String operation,
            TensorView x,
            TensorView weight,
            TensorView rstd,
            String yName,
            TensorView y,
            @Nullable TensorView dx,
            @Nullable TensorView weightGradient) {
        int d = x.cols();
        Object[] named = {"x", x, "weight", weight, "rstd", rstd, yName, y, "dx", dx, "weightGradient", weightGradient};
        shapes(
                isShape(weight, 1, d)
                        && isShape(rstd, 1, x.rows())
                        && sameShape(x, y)
                        && isShape(dx, x.rows(), d)
                        && isShape(weightGradient, 1, d),
                operation,
                named);
        dtypes(sameCompute(x, weight, y, dx) && isF32(rstd) && isF32(weightGradient), operation, named);
    }

    public static void rope(Tensor x, TensorView cosSin, TensorView positions, int headDim) {
        Object[] named = {"heads of " + headDim + ", x", x, "cosSin", cosSin, "positions", positions};
        shapes(
                headDim > 0
                        && headDim % 2 == 0
                        && x.cols() % headDim == 0
                        && cosSin.cols() == headDim
                        && isShape(positions, 1, x.rows()),
                "rope",
                named);
        dtypes(isCompute(x.dtype()) && isF32(cosSin) && positions.dtype() == DType.I32, "rope", named);
    }

    public static void attentionForward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            Tensor o,
            Tensor logSumExp) {
        AttentionChecks.check("attentionForward", shape, sequences, logSumExp, q, k, v);
        AttentionChecks.same("attentionForward", "q", q, "o", o);
    }

    public static void attentionBackward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            TensorView o,
            TensorView logSumExp,
            TensorView dO,
            Tensor dq,
            Tensor dk,
            Tensor dv) {
        String operation = "attentionBackward";
        AttentionChecks.check(operation, shape, sequences, logSumExp, q, k, v);
        AttentionChecks.same(operation, "q", q, "o", o);
        AttentionChecks.same(operation, "q", q, "dO", dO);
        AttentionChecks.same(operation, "q", q, "dq", dq);
        AttentionChecks.same(operation, "k", k, "dk", dk);
        AttentionChecks.same(operation, "v", v, "dv", dv);
    }

    public static void swigluForward(TensorView gate, TensorView up, Tensor y) {
        Object[] named = {"gate", gate, "up", up, "y", y};
        shapes(sameShape(gate, up) && sameShape(gate, y), "swigluForward", named);
        dtypes(sameCompute(gate, up, y), "swigluForward", named);
    }

    public static void swigluBackward(TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        Object[] named = {"dy", dy, "gate", gate, "up", up, "dgate", dgate, "dup", dup};
        shapes(
                sameShape(dy, gate) && sameShape(dy, up) && sameShape(dy, dgate) && sameShape(dy, dup),
                "swigluBackward",
                named);
        dtypes(sameCompute(dy, gate, up, dgate, dup), "swigluBackward", named);
    }

    public static void geluForward(TensorView x, Tensor y) {
        Object[] named = {"x", x, "y", y};
        shapes(sameShape(x, y), "geluForward", named);
        dtypes(sameCompute(x, y), "geluForward", named);
    }

    public static void geluBackward(TensorView dy, TensorView x, Tensor dx) {
        Object[] named = {"dy", dy, "x", x, "dx", dx};
        shapes(sameShape(dy, x) && sameShape(dy, dx), "geluBackward", named);
        dtypes(sameCompute(dy, x, dx), "geluBackward", named);
    }

    public static void add(TensorView a, TensorView b, Tensor y) {
        Object[] named = {"a", a, "b", b, "y", y};
        shapes(sameShape(a, y) && sameShape(b, y), "add", named);
        dtypes(sameCompute(a, y) && (isF32(b) || b.dtype() == y.dtype()), "add", named);
    }

    public static void crossEntropy(TensorView logits, TensorView targets, Tensor losses, @Nullable Tensor dlogits) {
        Object[] named = {"logits", logits, "targets", targets, "losses", losses, "dlogits", dlogits};
        int rows = logits.rows();
        shapes(
                isShape(targets, 1, rows) && isShape(losses, 1, rows) && isShape(dlogits, rows, logits.cols()),
                "crossEntropy",
                named);
        dtypes(
                isF32(logits)
                        && targets.dtype() == DType.I32
                        && isF32(losses)
                        && (dlogits == null || isCompute(dlogits.dtype())),
                "crossEntropy",
                named);
    }

    public static void sumOfSquares(TensorView x, Tensor result) {
        Object[] named = {"x", x, "result", result};
        shapes(x.rows() == 1 && isShape(result, 1, 1), "sumOfSquares", named);
        dtypes(isF32(x) && isF32(result), "sumOfSquares", named);
    }

    public static void adamW(
            Tensor values, TensorView gradients, Tensor moment1, Tensor moment2, TensorView sumOfSquares) {
        Object[] named = {
            "values",
            values,
            "gradients",
            gradients,
            "moment1",
            moment1,
            "moment2",
            moment2,
            "sumOfSquares",
            sumOfSquares
        };
        int n = values.cols();
        shapes(
                isShape(values, 1, n)
                        && isShape(gradients, 1, n)
                        && isShape(moment1, 1, n)
                        && isShape(moment2, 1, n)
                        && isShape(sumOfSquares, 1, 1),
                "adamW",
                named);
        dtypes(isF32(values) && sameCompute(values, gradients, moment1, moment2, sumOfSquares), "adamW", named);
    }
}
