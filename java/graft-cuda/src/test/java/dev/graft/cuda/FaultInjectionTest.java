package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.cuda.natives.EmulatorControl.Kind;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.io.Json;
import dev.graft.io.SafetensorsFile;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.LoraLinear;
import dev.graft.model.Architecture;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import dev.graft.train.Evaluator;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.TrainListener;
import dev.graft.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A small job (load, attach, train, evaluate, save) that fails wherever it can: one line says why, nothing stays allocated, nothing
 * half written is left, and what was finished before is whole and can be gone on from.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class FaultInjectionTest {
    private static final int STEPS = 3;
    private static final List<Example> DATA = TinyModels.rows(4, 6, 8);
    private static final LoraConfig LORA = LoraConfig.builder()
            .rank(2)
            .alpha(4)
            .dropout(0.1)
            .targets("q_proj,v_proj,down_proj")
            .build();
    private static final TrainConfig TRAINING = TrainConfig.builder()
            .batchSize(2)
            .gradAccum(2)
            .steps(STEPS)
            .learningRate(5e-3)
            .saveEvery(1)
            .evalEvery(2)
            .build();
    private static final String ADAPTER = "adapter_model.safetensors";
    private static final List<String> CHECKPOINT = List.of(ADAPTER, "adapter_config.json", "trainer_state.safetensors");

    @TempDir
    static Path folder;

    private EmulatorControl control;
    private Path model;
    /** What a job writes that nothing happens to. */
    private Path whole;

    private long allocations;
    private long pinnedAllocations;
    private long launches;
    private long copies;
    private int jobs;

    /** Where a job is. */
    private static final class Progress implements TrainListener {
        private int stepsDone;
        private int lastCheckpoint;
        /** From the first step to the checkpoint of the last. */
        private boolean inTraining;

        @Override
        public void onStep(StepMetrics metrics) {
            stepsDone = metrics.step();
        }

        @Override
        public void onCheckpoint(int step, Path checkpoint) {
            lastCheckpoint = step;
            inTraining = step < STEPS;
        }
    }

    @BeforeAll
    void runUndisturbed() {
        control = Emulation.control();
        model = TinyModels.write(
                folder.resolve("model"),
                TinyModels.config(Architecture.QWEN3, false, List.of(0)),
                new ReferenceEngine(),
                DType.F32,
                6);
        whole = folder.resolve("whole");
        job(whole, new Progress());
        control.assertNothingAlive();
        allocations = control.count(Kind.ALLOCATION);
        pinnedAllocations = control.count(Kind.PINNED_ALLOCATION);
        launches = control.count(Kind.LAUNCH);
        copies = control.count(Kind.COPY);
    }

    @BeforeEach
    void reset() {
        control = Emulation.control();
    }

    @AfterEach
    void putBack() {
        control.assertNothingViolated();
        control.reset();
    }

    /** Goes on from the newest checkpoint, where {@code out} has one. */
    private void job(Path out, Progress progress) {
        try (Engine engine = Emulation.open();
                PretrainedModel base = PretrainedModel.load(model, engine, Precision.BF16)) {
            LoraModel adapted = base.attach(LORA, 1);
            try (Trainer trainer = new Trainer(adapted, DATA, DATA.subList(0, 2), TRAINING)) {
                trainer.output(out, true);
                progress.inTraining = true;
                trainer.train(progress);
            }
            try (Workspace workspace = new Workspace(engine)) {
                new Evaluator(adapted, DATA, 3, workspace).evaluate();
            }
            adapted.save(out);
        }
    }

    /** A job that must fail; its failure, when everything was closed. */
    private Throwable failure(Path out, Progress progress) throws IOException {
        Throwable thrown = catchThrowable(() -> job(out, progress));
        assertThat(thrown).as("failure of the job").isNotNull();
        assertThat(thrown.getMessage()).isNotBlank().doesNotContain("\n");
        assertThat(thrown.getSuppressed()).as("what closing met with").isEmpty();
        control.assertNothingAlive();
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            assertThat(lines.filter(line -> line.contains(model.toString())))
                    .as("mapped files")
                    .isEmpty();
        }
        assertNothingHalfWritten(out);
        return thrown;
    }

    // ---- what is left on the disk

    private void assertNothingHalfWritten(Path out) throws IOException {
        if (!Files.exists(out)) {
            return;
        }
        try (Stream<Path> files = Files.walk(out)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String name = file.getFileName().toString();
                assertThat(name).as("left behind").doesNotStartWith(".").doesNotEndWith(".tmp");
                assertThat(file.getParent().toString()).doesNotEndWith(".partial");
                if (name.endsWith(".safetensors")) {
                    SafetensorsFile.open(file).close();
                }
            }
        }
    }

    /** The checkpoints up to {@code last} are those of the undisturbed job, and there are no others. */
    private void assertCheckpoints(Path out, int last) throws IOException {
        for (int step = 1; step <= STEPS; step++) {
            Path checkpoint = out.resolve("checkpoint-" + step);
            assertThat(Files.exists(checkpoint)).as(checkpoint.toString()).isEqualTo(step <= last);
            if (step <= last) {
                Path expected = whole.resolve("checkpoint-" + step);
                for (String file : CHECKPOINT) {
                    assertSameFile(checkpoint.resolve(file), expected.resolve(file));
                }
                assertThat(state(checkpoint)).isEqualTo(state(expected));
            }
        }
    }

    private static ObjectNode state(Path checkpoint) {
        ObjectNode state = Json.readObject(checkpoint.resolve("trainer_state.json"));
        state.remove("elapsed_s");
        return state;
    }

    private static void assertSameFile(Path actual, Path expected) throws IOException {
        assertThat(Files.mismatch(actual, expected)).as(actual.toString()).isEqualTo(-1);
    }

    /** On a fresh engine a job of the same output ends with the bits of an undisturbed one. */
    private void resume(Path out) throws IOException {
        control.reset();
        job(out, new Progress());
        control.assertNothingAlive();
        assertCheckpoints(out, STEPS);
        assertSameFile(out.resolve(ADAPTER), whole.resolve(ADAPTER));
    }

    // ---- no memory

    @Test
    void everyAllocationOfDeviceMemoryMayFail() throws IOException {
        assertThat(allocations).isGreaterThan(50);
        for (long n = 1; n <= allocations; n++) {
            control.reset();
            control.fail(Kind.ALLOCATION, n);
            Path out = folder.resolve("memory-" + n);
            Progress progress = new Progress();
            assertThat(failure(out, progress))
                    .as("allocation " + n)
                    .isInstanceOf(InputException.class)
                    .message()
                    .matches("out of GPU memory: [1-9]\\d* bytes asked for, \\d+ free; use a smaller --batch-size or"
                            + " --seq-len, or --precision bf16");
            assertCheckpoints(out, progress.lastCheckpoint);
        }
    }

    @Test
    void aDeviceThatIsTooSmallSaysWhatItHas() throws IOException {
        long own = DeviceSettings.forEmulator().deviceBytes();
        for (long bytes : new long[] {0, own - 1, own, own + 50_000}) {
            control.setDeviceBytes(bytes);
            String text =
                    failure(folder.resolve("small-" + bytes), new Progress()).getMessage();
            Matcher numbers =
                    Pattern.compile("(\\d+) bytes asked for, (\\d+) free").matcher(text);
            assertThat(numbers.find()).as(text).isTrue();
            assertThat(Long.parseLong(numbers.group(2))).as(text).isBetween(0L, bytes);
            assertThat(Long.parseLong(numbers.group(1))).as(text).isGreaterThan(Long.parseLong(numbers.group(2)));
        }
    }

    /** One layer without a model around it: an engine that goes on has all its memory back. */
    @Test
    void aLayerThatCannotBeMadeLeavesNothing() {
        LoraConfig dora = LoraConfig.builder().rank(2).alpha(4).dora(true).build();
        float[] weight = new float[8 * 6];
        Arrays.fill(weight, 1);
        try (CudaEngine engine = Emulation.open(CudaSettings.DEFAULT_BORDER)) {
            long own = engine.liveBytes();
            long before = control.count(Kind.ALLOCATION);
            LoraLinear.create(engine, Precision.F32, weight, 8, 6, dora, 1, 4).close();
            long taken = control.count(Kind.ALLOCATION) - before;
            assertThat(taken).isGreaterThan(5);
            for (long n = 1; n <= taken; n++) {
                control.fail(Kind.ALLOCATION, n);
                assertThatThrownBy(() -> LoraLinear.create(engine, Precision.F32, weight, 8, 6, dora, 1, 4))
                        .isInstanceOf(InputException.class)
                        .hasMessageStartingWith("out of GPU memory");
                assertThat(engine.liveBytes())
                        .as("after allocation " + n + " failed")
                        .isEqualTo(own);
            }
        }
        control.assertNothingAlive();
    }

    @Test
    void everyAllocationOfPinnedMemoryMayFail() throws IOException {
        assertThat(pinnedAllocations).isPositive();
        for (long n = 1; n <= pinnedAllocations; n++) {
            control.reset();
            control.fail(Kind.PINNED_ALLOCATION, n);
            assertThat(failure(folder.resolve("pinned-" + n), new Progress()))
                    .isInstanceOf(InputException.class)
                    .message()
                    .matches("out of pinned host memory: [1-9]\\d* bytes asked for; .*ulimit -l.*");
        }
    }

    // ---- a failing device

    @ParameterizedTest
    @CsvSource({"LAUNCH, false, 11", "LAUNCH, true, 11", "COPY, false, 7"})
    void everyCallMayFail(Kind kind, boolean asynchronous, int stride) throws IOException {
        long count = kind == Kind.LAUNCH ? launches : copies;
        assertThat(count).isGreaterThan(25L * stride);
        Set<Integer> resumed = new HashSet<>();
        for (long n = 1 + stride / 2; n <= count; n += stride) {
            control.reset();
            control.setAsynchronousFailures(asynchronous);
            control.fail(kind, n);
            Path out = folder.resolve("job-" + jobs++);
            Progress progress = new Progress();
            Throwable thrown = failure(out, progress);
            assertThat(thrown).as(kind + " " + n).isInstanceOf(EngineFailure.class);
            checkFailure(thrown.getMessage(), kind, asynchronous, progress, out);
            assertCheckpoints(out, progress.lastCheckpoint);
            if (resumed.add(progress.stepsDone)) {
                resume(out);
            }
        }
        assertThat(resumed).as("steps after which a job failed").containsExactlyInAnyOrder(0, 1, 2, 3);
    }

    private static void checkFailure(String text, Kind kind, boolean asynchronous, Progress progress, Path out) {
        String what = text;
        if (progress.inTraining) {
            // a step's evaluation and its checkpoint count as the step
            String step = "step " + (progress.lastCheckpoint + 1) + ": ";
            assertThat(text).startsWith(step);
            what = text.substring(step.length());
            String checkpoint = "; the last good checkpoint is " + out.resolve("checkpoint-" + progress.lastCheckpoint);
            if (progress.lastCheckpoint > 0) {
                assertThat(text).endsWith(checkpoint);
                what = what.substring(0, what.length() - checkpoint.length());
            } else {
                assertThat(text).doesNotContain("checkpoint");
            }
        }
        if (kind == Kind.COPY) {
            assertThat(what).matches("cuMem(cpy|set)\\w+: CUDA_ERROR_ILLEGAL_ADDRESS, .*");
        } else if (asynchronous) {
            assertThat(what).as("found by a later call").matches("cu\\w+: CUDA_ERROR_LAUNCH_FAILED, .*");
        } else {
            assertThat(what)
                    .containsPattern("^(product|[a-z]\\w+( of a weight|, .*)?) of \\S+ .*\\[\\d+, \\d+].*"
                            + ": (cublasGemm\\w+: CUBLAS_STATUS_EXECUTION_FAILED"
                            + "|\\w+: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES .*; scripts/gpu-verify )");
        }
    }
}
