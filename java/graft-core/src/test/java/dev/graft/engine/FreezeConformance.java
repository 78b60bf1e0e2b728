package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@link Engine#freeze}: weights from mapped files, at any byte offset. */
public abstract class FreezeConformance extends Conformance {
    @TempDir
    Path directory;

    private Arena arena;

    @BeforeEach
    void openArena() {
        // engines read weights from threads of their own
        arena = Arena.ofShared();
    }

    @AfterEach
    void closeArena() {
        arena.close();
    }

    static List<Arguments> storedTypes() {
        List<Arguments> cases = new ArrayList<>();
        for (DType stored : new DType[] {DType.F32, DType.F16, DType.BF16}) {
            for (Precision precision : Precision.values()) {
                for (int offset : new int[] {0, 1, 2, 7, 16}) {
                    cases.add(Arguments.of(stored, precision, offset));
                }
            }
        }
        return cases;
    }

    /** All 65,536 numbers of the 16-bit types, and as many of float32, among them NaN, infinities and denormals. */
    @ParameterizedTest
    @MethodSource("storedTypes")
    void everyNumberIsKeptOrRounded(DType stored, Precision precision, int offset) throws IOException {
        DType compute = precision.compute();
        byte[] bytes = everyNumber(stored);
        MemorySegment segment = map(bytes, offset);

        long planned = engine.freezeBytes(stored, 128, 512, compute);
        TensorView frozen = engine.freeze(segment, stored, 128, 512, compute);

        assertThat(frozen).hasToString(compute.name().toLowerCase(Locale.ROOT) + "[128, 512]");
        assertThat(frozen).isNotInstanceOf(Tensor.class);
        if (planned > 0) {
            assertThat(frozen.memory().byteSize()).as("as planned").isEqualTo(planned);
            assertThat(planned).isGreaterThanOrEqualTo(65_536L * compute.byteSize());
        }
        if (stored != compute) {
            assertThat(planned).as("a conversion needs memory").isPositive();
        }
        MemoryConformance.assertSameNumbers(engine.download(frozen), expected(bytes, stored, compute));
        if (stored == compute) {
            assertThat(engine.fingerprint(frozen)).isEqualTo(ReferenceOps.fingerprint(bytes));
        }
        if (planned == 0 && frozen.memory() instanceof HostMemory host) {
            assertThat(host.segment().isReadOnly())
                    .as("used in place, read-only")
                    .isTrue();
        }
        frozen.memory().close();
        frozen.memory().close();
        assertThat(segment.mismatch(MemorySegment.ofArray(bytes)))
                .as("the file is what it was")
                .isEqualTo(-1);
    }

    /** The same results from a weight in the file as from a copy of it in the engine's own memory. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 4, 18})
    void misalignedWeightsServeEveryOperation(int offset) throws IOException {
        for (Precision precision : Precision.values()) {
            if (engine.supports(precision)) {
                try (EngineFixture own = new EngineFixture(engine, offset)) {
                    checkOperations(own, precision.compute(), offset);
                }
            }
        }
    }

    private void checkOperations(EngineFixture own, DType dtype, int offset) throws IOException {
        int inputs = 63;
        int outputs = 33;
        Operand weight = own.input(dtype, outputs, inputs, Layout.PACKED);
        Operand x = own.input(dtype, 5, inputs, Layout.PACKED);
        Operand dy = own.input(dtype, 5, outputs, Layout.PACKED);
        List<Operand> results = List.of(
                own.output(dtype, 5, outputs, Layout.PACKED),
                own.output(dtype, 5, inputs, Layout.PACKED),
                own.output(dtype, 5, inputs, Layout.PACKED),
                own.output(dtype, 5, inputs, Layout.PACKED));
        Tensor rstd = own.allocate(DType.F32, 1, 5);
        TensorView index = own.integers(32, 0, 7, 7, 1);
        MemorySegment segment = map(MemoryConformance.bytes(weight.values(), dtype), offset);
        TensorView frozen = engine.freeze(segment, dtype, outputs, inputs, dtype);

        List<float[]> fromMemory = run(own, weight.tensor(), x, dy, results, index, rstd);
        List<float[]> fromFile = run(own, frozen, x, dy, results, index, rstd);
        for (int i = 0; i < results.size(); i++) {
            EngineFixture.assertSameBits("result " + i, fromFile.get(i), fromMemory.get(i));
        }
        frozen.memory().close();
    }

    private List<float[]> run(
            EngineFixture own,
            TensorView weight,
            Operand x,
            Operand dy,
            List<Operand> results,
            TensorView index,
            Tensor rstd) {
        own.run(() -> {
            Tensor y = results.get(0).tensor();
            engine.linearForward(x.tensor(), List.of(new Projection(weight, null, List.of(), y, null, null, null)));
            engine.linearBackward(
                    x.tensor(),
                    List.of(new Projection(weight, null, List.of(), dy.tensor(), null, null, null)),
                    results.get(1).tensor());
            engine.gatherRows(weight, index, results.get(2).tensor());
            engine.rmsNormForward(
                    x.tensor(), weight.rows(3, 4), 1e-5f, results.get(3).tensor(), rstd);
        });
        return results.stream().map(Operand::values).toList();
    }

    private MemorySegment map(byte[] bytes, int offset) throws IOException {
        Path file = Files.createTempFile(directory, "weights", ".bin");
        Files.write(file, new byte[offset]);
        Files.write(file, bytes, StandardOpenOption.APPEND);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena)
                    .asSlice(offset);
        }
    }

    private static byte[] everyNumber(DType stored) {
        ByteBuffer buffer = ByteBuffer.allocate(65_536 * stored.byteSize()).order(ByteOrder.LITTLE_ENDIAN);
        Random random = new Random(5);
        for (int i = 0; i < 65_536; i++) {
            if (stored == DType.F32) {
                // every upper half, with lower halves at and around the tie in turn
                int lower = switch (i % 5) {
                    case 0 -> 0x8000;
                    case 1 -> 0x7fff;
                    case 2 -> 0x8001;
                    default -> random.nextInt(65_536);
                };
                buffer.putInt(i << 16 | lower);
            } else {
                buffer.putShort((short) i);
            }
        }
        return buffer.array();
    }

    private static float[] expected(byte[] bytes, DType stored, DType compute) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        float[] values = new float[bytes.length / stored.byteSize()];
        for (int i = 0; i < values.length; i++) {
            float value = switch (stored) {
                case F32 -> buffer.getFloat();
                case F16 -> Float.float16ToFloat(buffer.getShort());
                default -> BFloat16.toFloat(buffer.getShort());
            };
            values[i] = EngineFixture.rounded(value, compute);
        }
        return values;
    }
}
