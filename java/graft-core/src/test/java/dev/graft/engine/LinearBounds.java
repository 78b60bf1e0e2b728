package dev.graft.engine;

import dev.graft.tensor.DType;

/**
 * What linear layers must give, with its error bound. A sum of products may cancel, so its error is measured against the sum of
 * the magnitudes: the same product over absolute values.
 *
 * @param value the float64 reference
 * @param bound how far from it a result may lie
 */
record LinearBounds(Matrix value, Matrix bound) {
    /** y of one layer. In bfloat16 the sums of its parts and LoRA's h may be rounded on the way. */
    static LinearBounds output(LinearSetup setup, LinearSetup.Layer layer) {
        DType dtype = setup.x().dtype();
        Matrix x = setup.x().before();
        Sum sum = new Sum(setup.rows(), layer.y().tensor().cols());
        sum.add(
                0,
                ReferenceLinear.forward(x, layer.weight().before(), null),
                ReferenceLinear.forward(absolute(x), absolute(layer.weight().before()), null)
                        .scaled(Tolerance.sum(setup.inputs())));
        if (layer.bias() != null) {
            for (int row = 0; row < setup.rows(); row++) {
                sum.add(row, layer.bias().before(), layer.bias().before().scaled(0));
            }
        }
        for (LinearSetup.Term term : layer.terms()) {
            ReferenceLinear.Lora lora = term.reference();
            Matrix hidden = ReferenceLinear.loraHidden(x, lora);
            LinearBounds h = hidden(setup, term);
            Matrix error = h.bound
                    .times(absolute(lora.b()).transposed())
                    .plus(absolute(hidden)
                            .times(absolute(lora.b()).transposed())
                            .scaled(Tolerance.sum(lora.a().rows())));
            sum.add(lora.fromRow(), ReferenceLinear.loraForward(hidden, lora), error);
        }
        if (layer.residual() != null) {
            sum.add(0, layer.residual().before(), layer.residual().before().scaled(0));
        }
        return sum.bounds(dtype);
    }

    /** h of one adapter. */
    static LinearBounds hidden(LinearSetup setup, LinearSetup.Term term) {
        ReferenceLinear.Lora lora = term.reference();
        Matrix value = ReferenceLinear.loraHidden(setup.x().before(), lora);
        Matrix magnitude = ReferenceLinear.loraHidden(absolute(setup.x().before()), absolute(lora));
        return new LinearBounds(
                value, Tolerance.bound(setup.x().dtype(), value, magnitude.scaled(Tolerance.sum(setup.inputs()))));
    }

    /** dx of all layers. In bfloat16 the sums of its parts and LoRA's u = s dy B may be rounded on the way. */
    static LinearBounds inputGradient(LinearSetup setup) {
        DType dtype = setup.x().dtype();
        Sum sum = new Sum(setup.rows(), setup.inputs());
        for (LinearSetup.Layer layer : setup.layers()) {
            Matrix dy = layer.y().before();
            Matrix weight = layer.weight().before();
            sum.add(
                    0,
                    ReferenceLinear.inputGradient(weight, dy),
                    ReferenceLinear.inputGradient(absolute(weight), absolute(dy))
                            .scaled(Tolerance.sum(dy.cols())));
            for (LinearSetup.Term term : layer.terms()) {
                ReferenceLinear.Lora lora = term.reference();
                Matrix value = ReferenceLinear.loraBackward(setup.x().before(), lora, term.hiddenBefore(), dy)
                        .x();
                Matrix mask = ReferenceLinear.mask(setup.x().before(), lora);
                Matrix u = hiddenGradient(lora, dy);
                Matrix error = hiddenGradientError(lora, dy, dtype)
                        .plus(absolute(u).scaled(Tolerance.sum(lora.a().rows())))
                        .times(absolute(lora.a()))
                        .combine(mask, (e, factor) -> e * factor);
                sum.add(lora.fromRow(), value, error);
            }
        }
        return sum.bounds(dtype);
    }

    /** dA of one adapter, added to what was there. */
    static LinearBounds gradientA(LinearSetup setup, LinearSetup.Layer layer, LinearSetup.Term term, Matrix before) {
        ReferenceLinear.Lora lora = term.reference();
        Matrix dy = layer.y().before();
        Matrix x = setup.x().before();
        Matrix value =
                ReferenceLinear.loraBackward(x, lora, term.hiddenBefore(), dy).a();
        Matrix droppedX = absolute(x.rows(lora.fromRow(), lora.toRow()))
                .combine(ReferenceLinear.mask(x, lora), (v, factor) -> v * factor);
        Matrix uError = hiddenGradientError(lora, dy, setup.x().dtype())
                .plus(absolute(hiddenGradient(lora, dy)).scaled(Tolerance.sum(droppedX.rows())));
        return accumulated(value, uError.transposed().times(droppedX), before);
    }

    /** dB of one adapter, added to what was there. */
    static LinearBounds gradientB(LinearSetup setup, LinearSetup.Layer layer, LinearSetup.Term term, Matrix before) {
        ReferenceLinear.Lora lora = term.reference();
        Matrix dy = layer.y().before();
        Matrix value = ReferenceLinear.loraBackward(setup.x().before(), lora, term.hiddenBefore(), dy)
                .b();
        Matrix magnitude =
                absolute(dy.rows(lora.fromRow(), lora.toRow())).transposed().times(absolute(term.hiddenBefore()));
        return accumulated(value, magnitude.scaled(Tolerance.sum(lora.toRow() - lora.fromRow())), before);
    }

    /** dW, added to what was there. */
    static LinearBounds weightGradient(LinearSetup setup, LinearSetup.Layer layer, Matrix before) {
        Matrix x = setup.x().before();
        Matrix dy = layer.y().before();
        Matrix magnitude = ReferenceLinear.weightGradient(absolute(x), absolute(dy));
        return accumulated(
                ReferenceLinear.weightGradient(x, dy), magnitude.scaled(Tolerance.sum(setup.rows())), before);
    }

    /** dbias, added to what was there. */
    static LinearBounds biasGradient(LinearSetup setup, LinearSetup.Layer layer, Matrix before) {
        Matrix dy = layer.y().before();
        return accumulated(dy.columnSums(), absolute(dy).columnSums().scaled(Tolerance.sum(setup.rows())), before);
    }

    private static LinearBounds accumulated(Matrix value, Matrix error, Matrix before) {
        Sum sum = new Sum(value.rows(), value.cols());
        sum.add(0, value, error);
        sum.add(0, before, before.scaled(0));
        return sum.bounds(DType.F32);
    }

    /** u = s dy B. */
    private static Matrix hiddenGradient(ReferenceLinear.Lora lora, Matrix dy) {
        return dy.rows(lora.fromRow(), lora.toRow()).times(lora.b()).scaled(lora.scale());
    }

    private static Matrix hiddenGradientError(ReferenceLinear.Lora lora, Matrix dy, DType dtype) {
        Matrix magnitude = hiddenGradient(absolute(lora), absolute(dy));
        return Tolerance.bound(dtype, hiddenGradient(lora, dy), magnitude.scaled(Tolerance.sum(dy.cols())));
    }

    private static Matrix absolute(Matrix matrix) {
        return matrix.map(Math::abs);
    }

    private static ReferenceLinear.Lora absolute(ReferenceLinear.Lora lora) {
        return new ReferenceLinear.Lora(
                lora.fromRow(), lora.toRow(), absolute(lora.a()), absolute(lora.b()), lora.scale(), lora.dropout());
    }

    /** Parts that are added up. Each addition may be rounded to the output's dtype, which errs by u of a partial sum. */
    private static final class Sum {
        private final Matrix value;
        private final Matrix magnitude;
        private final Matrix error;
        private final int[] parts;

        Sum(int rows, int cols) {
            value = Matrix.zeros(rows, cols);
            magnitude = Matrix.zeros(rows, cols);
            error = Matrix.zeros(rows, cols);
            parts = new int[rows];
        }

        void add(int fromRow, Matrix part, Matrix partError) {
            value.addRows(fromRow, part);
            magnitude.addRows(fromRow, absolute(part));
            error.addRows(fromRow, partError);
            for (int row = fromRow; row < fromRow + part.rows(); row++) {
                parts[row]++;
            }
        }

        LinearBounds bounds(DType dtype) {
            Matrix partialSums = Matrix.zeros(value.rows(), value.cols());
            for (int row = 0; row < value.rows(); row++) {
                partialSums.addRows(row, magnitude.rows(row, row + 1).scaled(parts[row]));
            }
            return new LinearBounds(value, Tolerance.bound(dtype, partialSums, error));
        }
    }
}
