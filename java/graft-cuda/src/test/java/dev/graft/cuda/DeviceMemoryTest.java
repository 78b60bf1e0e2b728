package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.cuda.natives.EmulatorControl.Kind;
import dev.graft.engine.AdamW;
import dev.graft.engine.Engine;
import dev.graft.engine.Projection;
import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Device memory in large chunks, as on a GPU, and after it was freed. */
class DeviceMemoryTest {
    private static final int CHUNK = 1 << 20;

    private static EmulatorControl control;

    @BeforeAll
    static void open() {
        control = Emulation.control();
    }

    @AfterEach
    void leaveNothing() {
        control.assertNothingViolated();
        control.assertNothingAlive();
        control.reset();
    }

    /** The engine's own memory is a chunk too, larger than {@link #CHUNK}. */
    private static CudaEngine openChunked() {
        DeviceSettings chunked = DeviceSettings.forEmulator().withChunk(CHUNK);
        return new CudaEngine(Emulation.PLATFORM, new CudaSettings(0, 0, false, false, chunked));
    }

    // ---- chunks

    @Test
    void smallRangesShareAChunkWhichGoesBackWithTheLast() {
        try (CudaEngine engine = openChunked()) {
            long own = engine.liveBytes();
            List<Memory> ranges = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                ranges.add(engine.allocate(CHUNK / 4));
            }
            assertThat(control.liveAllocations()).isEqualTo(2);
            assertThat(engine.liveBytes()).isEqualTo(own + CHUNK);
            ranges.add(engine.allocate(1));
            assertThat(control.liveAllocations()).as("the first is full").isEqualTo(3);
            ranges.removeLast().close();
            assertThat(control.liveAllocations()).isEqualTo(2);
            ranges.forEach(Memory::close);
            assertThat(control.liveAllocations()).isEqualTo(1);
            assertThat(engine.liveBytes()).isEqualTo(own);
        }
    }

    @Test
    void reservedMemoryIsOneAllocation() {
        try (CudaEngine engine = openChunked()) {
            engine.reserve(10L * CHUNK, 0);
            for (int i = 0; i < 10; i++) {
                engine.allocate(CHUNK);
            }
            assertThat(control.liveAllocations()).isEqualTo(2);
        }
    }

    @Test
    void aChunkThatDoesNotFitBecomesASmallerOne() {
        try (CudaEngine engine = openChunked()) {
            control.fail(Kind.ALLOCATION, 1);
            assertThat(engine.allocate(1000).byteSize()).isEqualTo(1024);
            assertThat(control.liveBytes())
                    .isEqualTo(DeviceSettings.forEmulator().deviceBytes() + 1024);
            control.setDeviceBytes(DeviceSettings.forEmulator().deviceBytes() + 1024);
            assertThatThrownBy(() -> engine.allocate(CHUNK + 1))
                    .isInstanceOf(InputException.class)
                    .hasMessageStartingWith("out of GPU memory: " + (CHUNK + 256) + " bytes asked for, 0 free; ");
            assertThatThrownBy(() -> engine.reserve(CHUNK, 0)).isInstanceOf(InputException.class);
        }
    }

    /** Ranges of random sizes, freed in random order, never overlap and all come back. */
    @Test
    void rangesKeepWhatIsInThem() {
        Random random = new Random(7);
        try (CudaEngine engine = openChunked()) {
            long own = engine.liveBytes();
            List<Map.Entry<Tensor, Float>> live = new ArrayList<>();
            for (int i = 0; i < 300; i++) {
                int count = 1 + random.nextInt(40_000);
                Tensor tensor = Tensor.of(engine.allocate(4L * count), 0, DType.F32, 1, count);
                engine.upload(filled(count, i), tensor);
                live.add(Map.entry(tensor, (float) i));
                while (live.size() > 20) {
                    check(engine, live.remove(random.nextInt(live.size())));
                }
            }
            live.forEach(entry -> check(engine, entry));
            assertThat(engine.liveBytes()).isEqualTo(own);
            assertThat(control.liveAllocations()).isEqualTo(1);
        }
    }

    private static void check(Engine engine, Map.Entry<Tensor, Float> entry) {
        assertThat(engine.download(entry.getKey())).containsOnly(entry.getValue());
        entry.getKey().memory().close();
    }

    private static float[] filled(int count, float value) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return values;
    }

    // ---- freed memory

    @Test
    void freedMemoryIsRefusedBeforeTheDeviceSeesIt() {
        try (Engine engine = Emulation.open()) {
            Tensor whole = tensor(engine);
            Tensor freed = tensor(engine);
            freed.memory().close();
            long operations = control.count(Kind.LAUNCH) + control.count(Kind.COPY);
            for (Runnable use : uses(engine, whole, freed)) {
                assertThatThrownBy(use::run)
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessage("this device memory was freed");
            }
            assertThat(control.count(Kind.LAUNCH) + control.count(Kind.COPY)).isEqualTo(operations);
        }
    }

    private static Tensor tensor(Engine engine) {
        return Tensor.of(engine.allocate(4 * 64), 0, DType.F32, 8, 8);
    }

    private static List<Runnable> uses(Engine engine, Tensor whole, Tensor freed) {
        Tensor row = whole.rows(0, 1);
        Tensor one = row.columns(0, 1);
        return List.of(
                () -> engine.zero(freed),
                () -> engine.upload(new float[64], freed),
                () -> engine.download(freed),
                () -> engine.fingerprint(freed),
                () -> engine.convert(freed, whole),
                () -> engine.convert(whole, freed),
                () -> engine.rmsNormForward(whole, freed.rows(0, 1), 1e-5f, whole, row),
                () -> engine.swigluForward(freed, whole, whole),
                () -> engine.sumOfSquares(freed.rows(0, 1), one),
                () -> engine.adamW(new AdamW(1, 0.9, 0.99, 1e-8, 0, 1, 0), row, freed.rows(0, 1), row, row, one),
                () -> engine.linearForward(
                        freed, List.of(new Projection(whole, null, List.of(), whole, null, null, null))),
                () -> engine.linearForward(
                        whole, List.of(new Projection(freed, null, List.of(), whole, null, null, null))),
                () -> engine.linearBackward(
                        whole, List.of(new Projection(whole, null, List.of(), whole, null, null, null)), freed));
    }

    @Test
    void memoryOfAClosedEngineIsFreedMemory() {
        Engine engine = Emulation.open();
        Tensor tensor = tensor(engine);
        engine.close();
        try (Engine other = Emulation.open()) {
            assertThatThrownBy(() -> other.zero(tensor)).isInstanceOf(RuntimeException.class);
            tensor.memory().close();
            tensor.memory().close();
            engine.close();
        }
    }

    @Test
    void anotherEnginesMemoryIsRefused() {
        try (Engine engine = Emulation.open();
                Engine other = Emulation.open()) {
            Tensor tensor = tensor(other);
            assertThatThrownBy(() -> engine.zero(tensor))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("tensor f32[8, 8] does not lie in this engine's memory");
        }
    }
}
