package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Makes operands for one call of an engine and watches over them. Every operand lies inside a larger buffer: what surrounds it
 * must stay untouched, inputs must stay what they were, outputs start as NaN, and the call is made twice and must give the
 * same bits twice.
 */
final class EngineFixture implements AutoCloseable {
    /** How an operand lies in its buffer. */
    enum Layout {
        /** Rows back to back, the first on a 64-byte boundary. */
        PACKED,
        /** Columns of a wider matrix, on no boundary but the element's. */
        PITCHED
    }

    /** What a call may do to an operand. */
    enum Role {
        INPUT,
        /** Overwritten; NaN before. */
        OUTPUT,
        /** Read and written. */
        UPDATED,
        /** Written as the engine likes; NaN before. */
        SCRATCH
    }

    private static final int LEFT = 3;
    private static final int RIGHT = 2;

    private final Engine engine;
    private final Random random;
    private final List<Memory> memories = new ArrayList<>();
    private final List<Operand> operands = new ArrayList<>();

    EngineFixture(Engine engine, long seed) {
        this.engine = engine;
        this.random = new Random(seed);
    }

    Engine engine() {
        return engine;
    }

    /** {@code count} numbers of N(0, 1), rounded to {@code dtype}. */
    float[] normal(DType dtype, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = rounded((float) random.nextGaussian(), dtype);
        }
        return values;
    }

    static float rounded(float value, DType dtype) {
        return dtype == DType.BF16 ? BFloat16.round(value) : value;
    }

    /** {@code matrix} as it is when stored in {@code dtype}. */
    static Matrix rounded(Matrix matrix, DType dtype) {
        return matrix.map(value -> rounded((float) value, dtype));
    }

    Operand input(DType dtype, int rows, int cols, Layout layout) {
        return operand(Role.INPUT, dtype, rows, cols, layout, normal(dtype, rows * cols));
    }

    /** An input of these values, rounded to {@code dtype}. */
    Operand input(DType dtype, Matrix values, Layout layout) {
        return operand(Role.INPUT, dtype, values, layout);
    }

    Operand output(DType dtype, int rows, int cols, Layout layout) {
        return operand(Role.OUTPUT, dtype, rows, cols, layout, filled(rows * cols, Float.NaN));
    }

    Operand scratch(DType dtype, int rows, int cols, Layout layout) {
        return operand(Role.SCRATCH, dtype, rows, cols, layout, filled(rows * cols, Float.NaN));
    }

    Operand updated(DType dtype, int rows, int cols, Layout layout) {
        return operand(Role.UPDATED, dtype, rows, cols, layout, normal(dtype, rows * cols));
    }

    Operand updated(DType dtype, Matrix values, Layout layout) {
        return operand(Role.UPDATED, dtype, values, layout);
    }

    /** An input with the engine's border; what the border holds must not matter. */
    Operand borderedInput(DType dtype, int rows, int cols) {
        return bordered(Role.INPUT, dtype, rows, cols, normal(dtype, rows * cols));
    }

    /** An output with the engine's border. */
    Operand borderedOutput(DType dtype, int rows, int cols) {
        return bordered(Role.OUTPUT, dtype, rows, cols, filled(rows * cols, Float.NaN));
    }

    /** A frozen weight with the values of an operand, as the engine keeps it. */
    TensorView frozen(Operand weight) {
        Matrix values = weight.before();
        byte[] bytes = MemoryConformance.bytes(weight.values(), weight.dtype());
        MemorySegment stored = Arena.ofAuto().allocate(bytes.length, 64).copyFrom(MemorySegment.ofArray(bytes));
        TensorView view = engine.freeze(stored, weight.dtype(), values.rows(), values.cols(), weight.dtype());
        memories.add(view.memory());
        return view;
    }

    private Operand operand(Role role, DType dtype, Matrix values, Layout layout) {
        float[] narrow = new float[values.values().length];
        for (int i = 0; i < narrow.length; i++) {
            narrow[i] = rounded((float) values.values()[i], dtype);
        }
        return operand(role, dtype, values.rows(), values.cols(), layout, narrow);
    }

    /** Some rows of a taller matrix, so that writing into the border of other rows shows. */
    private Operand bordered(Role role, DType dtype, int rows, int cols, float[] values) {
        BufferLayout layout = engine.bufferLayout();
        int pitch = Math.toIntExact(layout.pitch(cols));
        Tensor buffer = allocate(dtype, 1 + rows + 1, pitch);
        float[] contents = filled((1 + rows + 1) * pitch, role == Role.INPUT ? Float.NaN : 12.5f);
        for (int row = 0; row < rows; row++) {
            System.arraycopy(values, row * cols, contents, (1 + row) * pitch, cols);
        }
        Tensor tensor = Tensor.of(buffer.memory(), buffer.rowOffset(1), dtype, rows, cols, pitch, layout.border());
        Operand operand = new Operand(engine, role, buffer, tensor, 1, 0, contents);
        operands.add(operand);
        return operand;
    }

    private Operand operand(Role role, DType dtype, int rows, int cols, Layout layout, float[] values) {
        boolean pitched = layout == Layout.PITCHED;
        int above = pitched ? 1 : 0;
        int left = pitched ? LEFT : 0;
        int width = pitched ? LEFT + cols + RIGHT : cols;
        Tensor buffer = allocate(dtype, above + rows + 1, width);
        // what no input may bring into a result, and what no output may write over
        float[] contents = filled((above + rows + 1) * width, role == Role.INPUT ? Float.NaN : 12.5f);
        for (int row = 0; row < rows; row++) {
            System.arraycopy(values, row * cols, contents, (above + row) * width + left, cols);
        }
        Tensor tensor = buffer.rows(above, above + rows).columns(left, left + cols);
        Operand operand = new Operand(engine, role, buffer, tensor, above, left, contents);
        operands.add(operand);
        return operand;
    }

    /** I32 [1, values.length]. */
    TensorView integers(int... values) {
        Tensor tensor = allocate(DType.I32, 1, values.length);
        engine.upload(values, tensor);
        return tensor.asReadOnly();
    }

    /** Zeroed memory of its own. */
    Tensor allocate(DType dtype, int rows, int cols) {
        Memory memory = engine.allocate((long) rows * cols * dtype.byteSize());
        memories.add(memory);
        return Tensor.of(memory, 0, dtype, rows, cols);
    }

    /** Makes the call twice from the same start; results are in the operands then. */
    void run(Runnable call) {
        operands.forEach(Operand::reset);
        call.run();
        List<float[]> first = operands.stream().map(Operand::contents).toList();
        operands.forEach(Operand::reset);
        call.run();
        for (int i = 0; i < operands.size(); i++) {
            operands.get(i).finish(first.get(i));
        }
    }

    int random(int bound) {
        return random.nextInt(bound);
    }

    private static float[] filled(int count, float value) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return values;
    }

    @Override
    public void close() {
        memories.forEach(Memory::close);
    }

    static void assertSameBits(String what, float[] actual, float[] expected) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < actual.length; i++) {
            if (Float.floatToIntBits(actual[i]) != Float.floatToIntBits(expected[i])) {
                throw new AssertionError(what + ": element " + i + " is " + actual[i] + ", expected " + expected[i]);
            }
        }
    }
}
