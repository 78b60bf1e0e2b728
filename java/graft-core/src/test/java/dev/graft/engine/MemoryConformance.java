package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Allocation, transfer, conversion, fingerprints. */
abstract class MemoryConformance extends Conformance {
    private static final float[] SPECIAL = {
        0f,
        -0f,
        1f,
        -1f,
        Float.NaN,
        Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY,
        Float.MAX_VALUE,
        -Float.MAX_VALUE,
        Float.MIN_VALUE,
        -Float.MIN_VALUE,
        Float.MIN_NORMAL,
        0x1p-133f,
        0x1.8p-133f,
        Float.intBitsToFloat(0x3f808000),
        Float.intBitsToFloat(0x3f818000),
        Float.intBitsToFloat(0x3f808001),
        Float.intBitsToFloat(0x7f7f7fff),
        Float.intBitsToFloat(0x7f7f8000),
        Float.intBitsToFloat(0x7f800001)
    };

    @Test
    void saysWhatItIs() {
        assertThat(engine.name()).isNotBlank().doesNotContain(" ");
        assertThat(engine.description()).isNotBlank().doesNotContain("\n");
        assertThat(engine.supports(Precision.F32)).isTrue();
        assertThat(engine.availableBytes()).isPositive();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 63, 64, 1_000_003})
    void allocatesZeroedMemoryAndFreesItOnce(long bytes) {
        Memory memory = engine.allocate(bytes);
        assertThat(memory.byteSize()).isGreaterThanOrEqualTo(bytes);
        int count = (int) (bytes / 4);
        assertThat(engine.download(Tensor.of(memory, 0, DType.F32, 1, count))).isEqualTo(new float[count]);
        engine.upload(filled(count, Float.NaN), Tensor.of(memory, 0, DType.F32, 1, count));
        memory.close();
        memory.close();

        try (Memory again = engine.allocate(bytes)) {
            assertThat(engine.download(Tensor.of(again, 0, DType.F32, 1, count)))
                    .as("memory that was used before")
                    .isEqualTo(new float[count]);
        }
    }

    @Test
    void refusesWhatDoesNotFitInOneLine() {
        assertThatThrownBy(() -> engine.allocate(1L << 60))
                .isInstanceOf(InputException.class)
                .message()
                .doesNotContain("\n")
                .containsPattern("\\d");
    }

    @Test
    void refusesPlannedTensors() {
        Tensor planned =
                new PlanningAllocator(engine.bufferLayout()).tensor(MemoryKind.WORKSPACE, "w", DType.F32, 2, 3);
        assertThatThrownBy(() -> engine.zero(planned)).isInstanceOf(RuntimeException.class);
        assertThatThrownBy(() -> engine.download(planned)).isInstanceOf(RuntimeException.class);
    }

    @ParameterizedTest
    @EnumSource
    void uploadRoundsAndDownloadWidens(Precision precision) {
        DType dtype = precision.compute();
        for (int count : new int[] {1, 13, 207, 4098}) {
            float[] values = special(count);
            Tensor tensor = fixture.allocate(dtype, 1, count);
            engine.upload(values, tensor);
            assertSameNumbers(engine.download(tensor), rounded(values, dtype));
        }
    }

    @ParameterizedTest
    @EnumSource
    void downloadReadsRowsOfAPitchedView(Precision precision) {
        Operand x = fixture.input(precision.compute(), 13, 7, Layout.PITCHED);
        float[] expected = new float[13 * 7];
        for (int i = 0; i < expected.length; i++) {
            expected[i] = (float) x.before().values()[i];
        }
        assertThat(engine.download(x.tensor())).isEqualTo(expected);
    }

    @Test
    void uploadOfIntegersMayBeShorterThanTheTensor() {
        Operand table = fixture.input(DType.F32, 20, 3, Layout.PACKED);
        Tensor index = fixture.allocate(DType.I32, 1, 9);
        engine.upload(new int[] {19, 18, 17, 16, 15, 14, 13, 12, 11}, index);
        engine.upload(new int[] {5, 0, 7}, index);
        Tensor y = fixture.allocate(DType.F32, 3, 3);
        engine.gatherRows(table.tensor(), index.columns(0, 3), y);
        assertThat(Matrix.of(3, 3, engine.download(y)).values())
                .isEqualTo(ReferenceOps.gatherRows(table.before(), new int[] {5, 0, 7})
                        .values());
    }

    static List<Arguments> conversions() {
        List<Arguments> cases = new ArrayList<>();
        for (Precision from : Precision.values()) {
            for (Precision to : Precision.values()) {
                for (Layout layout : Layout.values()) {
                    cases.add(Arguments.of(from, to, layout));
                }
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("conversions")
    void convertRounds(Precision from, Precision to, Layout layout) {
        for (int cols : new int[] {1, 16, 63, 577}) {
            float[] values = special(3 * cols);
            try (EngineFixture own = new EngineFixture(engine, cols)) {
                Operand source = own.input(from.compute(), Matrix.of(3, cols, values), layout);
                Operand destination = own.output(to.compute(), 3, cols, layout);
                own.run(() -> engine.convert(source.tensor(), destination.tensor()));
                assertSameNumbers(destination.values(), rounded(rounded(values, from.compute()), to.compute()));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void zeroWritesZerosAndNothingElse(Precision precision) {
        for (Layout layout : Layout.values()) {
            Operand x = fixture.output(precision.compute(), 5, 63, layout);
            fixture.run(() -> engine.zero(x.tensor()));
            EngineFixture.assertSameBits("zero", x.values(), new float[5 * 63]);
        }
    }

    @ParameterizedTest
    @EnumSource
    void fingerprintFollowsItsFormula(Precision precision) {
        DType dtype = precision.compute();
        for (int count : new int[] {1, 2, 3, 4, 5, 16, 63, 207, 4098, 70_001}) {
            float[] values = fixture.normal(dtype, count);
            Tensor tensor = fixture.allocate(dtype, 1, count);
            engine.upload(values, tensor);
            assertThat(engine.fingerprint(tensor))
                    .as("%d elements", count)
                    .isEqualTo(ReferenceOps.fingerprint(bytes(values, dtype)));
        }
    }

    /** Rows 1 to 4 of an odd width start on no 8-byte boundary; words count from their start all the same. */
    @ParameterizedTest
    @EnumSource
    void fingerprintOfSomeRows(Precision precision) {
        DType dtype = precision.compute();
        float[] values = fixture.normal(dtype, 5 * 13);
        Tensor tensor = fixture.allocate(dtype, 5, 13);
        engine.upload(values, tensor);
        TensorView rows = tensor.asReadOnly().rows(1, 4);
        long before = engine.fingerprint(rows);
        assertThat(before).isEqualTo(ReferenceOps.fingerprint(bytes(Arrays.copyOfRange(values, 13, 52), dtype)));

        values[51] = -values[51];
        engine.upload(values, tensor);
        assertThat(engine.fingerprint(rows)).as("one sign changed").isNotEqualTo(before);
    }

    private static float[] special(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            // the second time round every special number stands at another place of its vector
            values[i] = i % 23 < SPECIAL.length ? SPECIAL[i % 23] : i * 0.3173f;
        }
        return values;
    }

    private static float[] rounded(float[] values, DType dtype) {
        float[] result = new float[values.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = EngineFixture.rounded(values[i], dtype);
        }
        return result;
    }

    /** The same bits, but for NaN, whose payload is free. */
    static void assertSameNumbers(float[] actual, float[] expected) {
        EngineFixture.assertSameBits("numbers", actual, expected);
    }

    private static float[] filled(int count, float value) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return values;
    }

    static byte[] bytes(float[] values, DType dtype) {
        ByteBuffer buffer =
                ByteBuffer.allocate(values.length * dtype.byteSize()).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            if (dtype == DType.BF16) {
                buffer.putShort(BFloat16.fromFloat(value));
            } else {
                buffer.putFloat(value);
            }
        }
        return buffer.array();
    }
}
