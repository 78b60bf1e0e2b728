package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.graft.common.InputException;
import dev.graft.cpu.CpuEngine;
import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.cuda.natives.EmulatorControl.Kind;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Dropout;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.EngineProvider;
import dev.graft.engine.Engines;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the CUDA engine refuses, each in one line, before anything reaches the device. */
class CudaRefusalsTest {
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

    // ---- operands

    /** Every operation, with {@code other} as one of its operands. */
    private static Map<String, Runnable> operations(Engine engine, Tensor own, Tensor other) {
        Tensor row = own.rows(0, 1);
        Tensor otherRow = other.rows(0, 1);
        Tensor one = row.columns(0, 1);
        AttentionShape shape = new AttentionShape(2, 2, 4, 1, 0);
        Sequences sequences = Sequences.packed(3, 5);
        Map<String, Runnable> operations = new LinkedHashMap<>();
        operations.put("zero", () -> engine.zero(other));
        operations.put("upload", () -> engine.upload(new float[64], other));
        operations.put("download", () -> engine.download(other));
        operations.put("fingerprint", () -> engine.fingerprint(other));
        operations.put("convert from", () -> engine.convert(other, own));
        operations.put("convert to", () -> engine.convert(own, other));
        operations.put("rmsNormForward", () -> engine.rmsNormForward(own, row, 1, other, row));
        operations.put("rmsNormBackward", () -> engine.rmsNormBackward(own, own, row, row, own, false, otherRow));
        operations.put(
                "attentionForward",
                () -> engine.attentionForward(shape, sequences, own, own, own, own, other.columns(0, 2)));
        operations.put("swigluForward", () -> engine.swigluForward(own, other, own));
        operations.put("swigluBackward", () -> engine.swigluBackward(own, own, own, own, other));
        operations.put("rowNorms", () -> engine.rowNorms(own, own, other, 1, row));
        operations.put("rescaleForward", () -> engine.rescaleForward(own, row, row, null, other, own));
        operations.put("rescaleBackward", () -> engine.rescaleBackward(own, own, row, row, own, otherRow));
        operations.put("dropout", () -> engine.dropout(other, new Dropout(0, 0, 0, 0), false, false, own));
        operations.put("geluForward", () -> engine.geluForward(own, other));
        operations.put("geluBackward", () -> engine.geluBackward(own, other, own));
        operations.put("add", () -> engine.add(own, other, own));
        operations.put("sumOfSquares", () -> engine.sumOfSquares(otherRow, one));
        operations.put("linearForward, x", () -> engine.linearForward(other, List.of(projection(own, own, own))));
        operations.put("linearForward, weight", () -> engine.linearForward(own, List.of(projection(other, own, own))));
        operations.put("linearForward, y", () -> engine.linearForward(own, List.of(projection(own, other, own))));
        operations.put("linearForward, A", () -> engine.linearForward(own, List.of(projection(own, own, other))));
        operations.put(
                "linearBackward, dx", () -> engine.linearBackward(own, List.of(projection(own, own, own)), other));
        return operations;
    }

    private static Projection projection(Tensor weight, Tensor y, Tensor a) {
        LoraTerm.Gradients gradients = new LoraTerm.Gradients(a, a, a);
        LoraTerm term = new LoraTerm(0, 8, a, a, 1, a, null, null, gradients);
        return new Projection(weight, null, List.of(term), y, null, null, null);
    }

    private static Tensor tensor(Engine engine) {
        return Tensor.of(engine.allocate(4 * 64), 0, DType.F32, 8, 8);
    }

    private void assertRefused(Engine engine, Tensor other) {
        Tensor own = tensor(engine);
        operations(engine, own, other)
                .forEach((name, operation) -> assertThatThrownBy(operation::run)
                        .as(name)
                        .isInstanceOf(IllegalArgumentException.class)
                        .message()
                        .doesNotContain("\n")
                        .endsWith("does not lie in this engine's memory"));
    }

    @Test
    void plannedTensors() {
        try (Engine engine = Emulation.open()) {
            PlanningAllocator plan = new PlanningAllocator(engine.bufferLayout());
            assertRefused(engine, plan.tensor(MemoryKind.WORKSPACE, "planned", DType.F32, 8, 8));
        }
    }

    @Test
    void tensorsOfTheCpu() {
        try (Engine engine = Emulation.open();
                Engine cpu = new CpuEngine(new WorkerPool(1));
                Workspace workspace = new Workspace(cpu)) {
            assertRefused(engine, workspace.tensor(MemoryKind.WORKSPACE, "on the host", DType.F32, 8, 8));
        }
    }

    @Test
    void shapesAndDtypesThatDoNotFit() {
        try (Engine engine = Emulation.open()) {
            Tensor f32 = tensor(engine);
            Tensor bf16 = Tensor.of(f32.memory(), 0, DType.BF16, 8, 8);
            Tensor narrow = f32.columns(0, 7);
            long operations = control.count(Kind.LAUNCH) + control.count(Kind.COPY);
            List<Runnable> calls = List.of(
                    () -> engine.convert(f32, narrow),
                    () -> engine.upload(new float[63], f32),
                    () -> engine.upload(new int[3], f32),
                    () -> engine.swigluForward(f32, f32, narrow),
                    () -> engine.swigluForward(f32, bf16, f32),
                    () -> engine.geluForward(f32, narrow),
                    () -> engine.geluBackward(f32, bf16, f32),
                    () -> engine.add(f32, bf16, f32),
                    () -> engine.linearForward(f32, List.of(projection(narrow, f32, f32))),
                    () -> engine.linearForward(f32, List.of(projection(bf16, f32, f32))),
                    () -> engine.linearBackward(f32, List.of(projection(f32, f32, f32)), narrow),
                    () -> engine.rmsNormForward(f32, f32, 1, f32, f32),
                    () -> engine.rope(f32, f32, f32, 3, false),
                    () -> engine.rowNorms(f32, narrow, f32, 1, f32.rows(0, 1)),
                    () -> engine.rescaleForward(f32, f32, f32, null, null, f32),
                    () -> engine.rescaleForward(f32, null, null, null, bf16, f32),
                    () -> engine.rescaleBackward(f32, f32, f32.rows(0, 1), f32.rows(0, 1), narrow, f32.rows(0, 1)),
                    () -> engine.dropout(f32, new Dropout(0, 0, 0, 0), false, false, bf16),
                    () -> engine.sumOfSquares(f32, f32));
            for (Runnable call : calls) {
                assertThatThrownBy(call::run)
                        .isInstanceOf(IllegalArgumentException.class)
                        .message()
                        .matches("(shape|dtype) mismatch in \\w+.*\\[\\d+, \\d+].*")
                        .doesNotContain("\n");
            }
            assertThat(control.count(Kind.LAUNCH) + control.count(Kind.COPY)).isEqualTo(operations);
        }
    }

    @Test
    void aBatchOfMoreSequencesThanTheTableHolds() {
        try (Engine engine = Emulation.open()) {
            int most = (int) (DeviceSettings.forEmulator().sequenceTable() / 16);
            int[] lengths = new int[most + 1];
            Arrays.fill(lengths, 1);
            Tensor x = Tensor.of(engine.allocate(4L * lengths.length), 0, DType.F32, lengths.length, 1);
            AttentionShape shape = new AttentionShape(1, 1, 1, 1, 0);
            assertThatThrownBy(() -> engine.attentionForward(shape, Sequences.packed(lengths), x, x, x, x, x))
                    .isInstanceOf(InputException.class)
                    .hasMessage("a batch of " + (most + 1) + " rows; the CUDA engine takes " + most
                            + ", use a smaller --batch-size");
        }
    }

    // ---- platforms

    /** JCuda binds to one {@code libcuda.so.1}. */
    @Test
    void theOtherPlatformInOneProcess() {
        Emulation.open().close();
        String reason = "this process already uses the emulator, and JCuda binds to one only";
        EngineProvider gpu = new CudaEngineProvider();
        assertThat(gpu.unavailableReason()).contains(reason);
        assertThatThrownBy(() -> gpu.open(0)).isInstanceOf(EngineFailure.class).hasMessage(reason);
        assertThatThrownBy(() -> Engines.open("cuda"))
                .isInstanceOf(InputException.class)
                .hasMessage("--engine cuda: " + reason);
        assertThat(new EmulatedCudaEngineProvider().unavailableReason()).isEmpty();
    }

    /** For {@link #whyThereIsNoGpu}: a process that has not loaded the emulator. */
    public static final class Reasons {
        private Reasons() {}

        public static void main(String[] arguments) {
            Optional<String> reason = CudaLibraries.unavailableReason(CudaPlatform.GPU);
            System.out.println("reason: " + reason.orElse("none"));
            System.out.println("again: " + reason.equals(CudaLibraries.unavailableReason(CudaPlatform.GPU)));
            Throwable thrown = catchThrowable(() -> Engines.open("cuda").close());
            System.out.println("open: " + (thrown == null ? "works" : thrown.getMessage()));
            // looking for a GPU must not commit the process to one
            try (Engine engine = Engines.open("cuda-emulated")) {
                System.out.println("emulator: " + engine.description());
            }
        }
    }

    @Test
    void whyThereIsNoGpu() throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--add-modules=jdk.incubator.vector",
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Reasons.class.getName())
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        List<String> lines = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .lines()
                .toList();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(lines).isNotEmpty();
        String reason = lines.getFirst().substring("reason: ".length());
        assumeFalse(reason.equals("none"), "this machine has a GPU that works");
        assertThat(lines).hasSize(4);
        assertThat(reason)
                .matches("no NVIDIA driver \\(libcuda\\.so\\.1 is not installed\\)|the NVIDIA driver .*|.* compute"
                        + " capability .*|the CUDA kernels are not in this build.*|cuBLAS 12 or 13 is not installed.*");
        assertThat(lines.get(1)).isEqualTo("again: true");
        assertThat(lines.get(2)).isEqualTo("open: --engine cuda: " + reason);
        assertThat(lines.get(3)).startsWith("emulator: Graft emulator (sm_");
    }

    // ---- settings

    @ParameterizedTest
    @ValueSource(strings = {"-1", "", "x", "1.5", "0x10", "65536", "2147483647", "99999999999", "64 48"})
    void settingsThatAreNoNumbers(String value) {
        for (String name : new String[] {"graft.cuda.device", "graft.cuda.border"}) {
            assertThatThrownBy(() -> with(name, value, () -> Engines.open("cuda-emulated")))
                    .isInstanceOf(InputException.class)
                    .hasMessage(
                            "-D" + name + "=" + value + ": not a number from 0 to 65535; give one, or leave it out");
        }
    }

    @Test
    void settingsThatAreNumbers() {
        try (Engine engine = with("graft.cuda.border", " 24 ", () -> Engines.open("cuda-emulated"))) {
            assertThat(engine.bufferLayout().border()).isEqualTo(24);
        }
        try (Engine engine = with("graft.cuda.border", "24", () -> Engines.open("cuda-emulated", 192))) {
            assertThat(engine.bufferLayout().border()).isEqualTo(24);
        }
    }

    @ParameterizedTest
    @CsvSource({"0, 64", "48, 64", "65, 80", "192, 192", "256, 256", "257, 64"})
    void theBorderFollowsTheRanks(int sharedRanks, int border) {
        try (Engine engine = Engines.open("cuda-emulated", sharedRanks)) {
            assertThat(engine.bufferLayout().border()).isEqualTo(border);
        }
    }

    @Test
    void aDeviceThatDoesNotExist() {
        assertThatThrownBy(() -> with("graft.cuda.device", "7", () -> Engines.open("cuda-emulated")))
                .isInstanceOf(InputException.class)
                .message()
                .contains("-Dgraft.cuda.device=7")
                .doesNotContain("\n");
    }

    @Test
    void instructionsThatTheDeviceLacks() {
        control.setCapability(89);
        assertThatThrownBy(() -> with("graft.cuda.wgmma", "true", () -> Engines.open("cuda-emulated")))
                .isInstanceOf(InputException.class)
                .hasMessage(
                        "-Dgraft.cuda.wgmma=true: Graft emulator has compute capability 8.9; wgmma needs 9.0 (Hopper), leave it"
                                + " out");
    }

    private static <T> T with(String property, String value, Supplier<T> action) {
        String before = System.getProperty(property);
        System.setProperty(property, value);
        try {
            return action.get();
        } finally {
            if (before == null) {
                System.clearProperty(property);
            } else {
                System.setProperty(property, before);
            }
        }
    }
}
