package dev.graft.engine;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.Arrays;

/** One operand of a call under test, inside its buffer; made by {@link EngineFixture}. */
final class Operand {
    private final Engine engine;
    private final EngineFixture.Role role;
    private final Tensor buffer;
    private final Tensor tensor;
    private final int firstRow;
    private final int firstColumn;
    private final float[] initial;
    private float[] result;

    Operand(
            Engine engine,
            EngineFixture.Role role,
            Tensor buffer,
            Tensor tensor,
            int firstRow,
            int firstColumn,
            float[] initial) {
        this.engine = engine;
        this.role = role;
        this.buffer = buffer;
        this.tensor = tensor;
        this.firstRow = firstRow;
        this.firstColumn = firstColumn;
        this.initial = initial;
        this.result = initial;
        reset();
    }

    Tensor tensor() {
        return tensor;
    }

    DType dtype() {
        return tensor.dtype();
    }

    /** The values before the call. */
    Matrix before() {
        return Matrix.of(tensor.rows(), tensor.cols(), inside(initial));
    }

    /** The values after the call. */
    Matrix after() {
        return Matrix.of(tensor.rows(), tensor.cols(), inside(result));
    }

    /** The values after the call, as they are stored. */
    float[] values() {
        return inside(result);
    }

    void reset() {
        engine.upload(initial, buffer);
    }

    /** The whole buffer now. */
    float[] contents() {
        return engine.download(buffer);
    }

    /** Takes the result of the second call, which must be that of the first one, and looks for damage. */
    void finish(float[] first) {
        result = contents();
        if (role != EngineFixture.Role.SCRATCH) {
            EngineFixture.assertSameBits(this + ", called a second time", withoutBorder(result), withoutBorder(first));
        }
        if (role == EngineFixture.Role.INPUT) {
            EngineFixture.assertSameBits(
                    this + ", an input, was written", withoutBorder(result), withoutBorder(initial));
        }
        for (int i = 0; i < result.length; i++) {
            if (isOutside(i) && Float.floatToIntBits(result[i]) != Float.floatToIntBits(initial[i])) {
                throw new AssertionError(this + ": element " + i + " of the buffer around it was written");
            }
        }
    }

    /** Whether a number of the buffer must stay as it is; the border is the engine's to write. */
    private boolean isOutside(int index) {
        int row = index / buffer.cols() - firstRow;
        int column = index % buffer.cols() - firstColumn;
        return row < 0 || row >= tensor.rows() || column < 0 || column >= tensor.cols() + tensor.border();
    }

    private float[] withoutBorder(float[] contents) {
        float[] copy = contents.clone();
        for (int row = 0; row < tensor.rows(); row++) {
            int from = (firstRow + row) * buffer.cols() + firstColumn + tensor.cols();
            Arrays.fill(copy, from, from + tensor.border(), 0);
        }
        return copy;
    }

    private float[] inside(float[] contents) {
        float[] values = new float[tensor.rows() * tensor.cols()];
        for (int row = 0; row < tensor.rows(); row++) {
            int from = (firstRow + row) * buffer.cols() + firstColumn;
            System.arraycopy(contents, from, values, row * tensor.cols(), tensor.cols());
        }
        return values;
    }

    /** Every element within {@code bound} of what is expected, both of this operand's shape or of its first rows'. */
    void assertClose(String what, Matrix expected, Matrix bound) {
        Matrix actual = after().rows(0, expected.rows());
        int wrong = 0;
        String worst = "";
        double worstRatio = 0;
        for (int i = 0; i < expected.values().length; i++) {
            double a = actual.values()[i];
            double e = expected.values()[i];
            double error = Math.abs(a - e);
            if (a == e || error <= bound.values()[i]) {
                continue;
            }
            wrong++;
            double ratio = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error / bound.values()[i];
            if (worst.isEmpty() || ratio > worstRatio) {
                worstRatio = ratio;
                worst = "[" + i / expected.cols() + ", " + i % expected.cols() + "] is " + a + ", expected " + e + " ± "
                        + bound.values()[i];
            }
        }
        if (wrong > 0) {
            throw new AssertionError(what + " " + this + ": " + wrong + " of " + expected.values().length
                    + " elements are wrong; the worst, " + worst);
        }
    }

    @Override
    public String toString() {
        return tensor.toString();
    }
}
