package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/** What {@link ReferenceEngine} asks of its operands, so that tests over it find wrong shapes, dtypes and overlaps. */
final class OperandChecks {
    private OperandChecks() {}

    static void shape(String what, TensorView view, int rows, int cols) {
        if (view.rows() != rows || view.cols() != cols) {
            throw new IllegalArgumentException(what + " is " + view + ", expected [" + rows + ", " + cols + "]");
        }
    }

    static void shape(String what, TensorView view, DType dtype, int rows, int cols) {
        shape(what, view, rows, cols);
        if (view.dtype() != dtype) {
            throw new IllegalArgumentException(what + " is " + view + ", expected " + dtype);
        }
    }

    /** Refuses an output that shares an element with another operand. */
    static void apart(TensorView output, @Nullable TensorView... others) {
        for (TensorView other : others) {
            if (other != null && HostTensors.overlap(output, other)) {
                throw new IllegalArgumentException("output " + output + " overlaps operand " + other);
            }
        }
    }

    static void forward(TensorView x, Projection projection) {
        layer(x, projection);
        Tensor y = projection.y();
        shape(
                "y",
                y,
                y.dtype() == DType.F32 ? DType.F32 : x.dtype(),
                x.rows(),
                projection.weight().rows());
        apart(y, x, projection.residual());
        if (projection.residual() != null) {
            shape("residual", projection.residual(), y.dtype(), y.rows(), y.cols());
        }
    }

    static void backward(TensorView x, Projection projection, @Nullable Tensor dx) {
        layer(x, projection);
        TensorView weight = projection.weight();
        shape("dy", projection.y(), x.dtype(), x.rows(), weight.rows());
        if (dx != null) {
            shape("dx", dx, x.dtype(), x.rows(), x.cols());
            apart(dx, x, projection.y());
        }
        if (projection.weightGradient() != null) {
            shape("weight gradient", projection.weightGradient(), DType.F32, weight.rows(), weight.cols());
        }
        if (projection.biasGradient() != null) {
            shape("bias gradient", projection.biasGradient(), DType.F32, 1, weight.rows());
        }
    }

    private static void layer(TensorView x, Projection projection) {
        TensorView weight = projection.weight();
        shape("weight", weight, x.dtype(), weight.rows(), x.cols());
        if (projection.bias() != null) {
            shape("bias", projection.bias(), x.dtype(), 1, weight.rows());
        }
        for (LoraTerm term : projection.lora()) {
            lora(x, weight, term);
        }
    }

    private static void lora(TensorView x, TensorView weight, LoraTerm term) {
        int rows = term.toRow() - term.fromRow();
        if (term.fromRow() < 0 || rows < 0 || term.toRow() > x.rows()) {
            throw new IllegalArgumentException("adapter rows " + term.fromRow() + " to " + term.toRow() + " of " + x);
        }
        shape("A", term.a(), x.dtype(), term.rank(), x.cols());
        shape("B", term.b(), x.dtype(), weight.rows(), term.rank());
        scratch("hidden", term.hidden(), x.dtype(), rows, term.rank());
        if (term.dropout() != null) {
            if (term.dropped() == null) {
                throw new IllegalArgumentException("dropout without its scratch");
            }
            scratch("dropped", term.dropped(), x.dtype(), rows, x.cols());
        }
        LoraTerm.Gradients gradients = term.gradients();
        if (gradients != null) {
            shape("dA", gradients.a(), DType.F32, term.rank(), x.cols());
            shape("dB", gradients.b(), DType.F32, weight.rows(), term.rank());
            scratch("hidden gradient", gradients.hidden(), x.dtype(), rows, term.rank());
        }
    }

    private static void scratch(String what, TensorView view, DType dtype, int minRows, int cols) {
        shape(what, view, dtype, Math.max(minRows, view.rows()), cols);
    }

    static void attention(
            AttentionShape shape, TensorView q, TensorView k, TensorView v, TensorView o, TensorView logSumExp) {
        int width = shape.heads() * shape.headDim();
        int keyWidth = shape.keyValueHeads() * shape.headDim();
        shape("q", q, q.rows(), width);
        shape("o", o, q.dtype(), q.rows(), width);
        shape("k", k, q.dtype(), k.rows(), keyWidth);
        shape("v", v, q.dtype(), k.rows(), keyWidth);
        shape("logSumExp", logSumExp, DType.F32, q.rows(), shape.heads());
    }
}
