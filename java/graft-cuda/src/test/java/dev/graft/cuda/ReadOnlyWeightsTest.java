package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.graft.common.InputException;
import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.cuda.natives.EmulatorControl.Handle;
import dev.graft.cuda.natives.EmulatorControl.Kind;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.Precision;
import dev.graft.engine.Projection;
import dev.graft.engine.ReferenceEngine;
import dev.graft.io.Checkpoint;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Architecture;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import dev.graft.testing.TinyModels;
import dev.graft.train.Method;
import dev.graft.train.TrainConfig;
import dev.graft.train.Trainer;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Property {@code graft.cuda.readonly}: frozen weights without a border that the device itself cannot write. */
class ReadOnlyWeightsTest {
    private static final DecoderConfig CONFIG = TinyModels.config(Architecture.QWEN2);
    private static final LoraConfig LORA = LoraConfig.builder()
            .rank(3)
            .targets("q_proj,k_proj,v_proj,down_proj")
            .build();
    private static final TrainConfig TRAINING =
            TrainConfig.builder().batchSize(5).steps(2).learningRate(1e-2).build();
    /** Calls that a mapping of memory takes, and one that makes it read-only: what an engine tries when it is opened. */
    private static final int TRIAL = 4;

    @TempDir
    Path folder;

    private static EmulatorControl control;

    @BeforeAll
    static void open() {
        control = Emulation.control();
    }

    @AfterEach
    void leaveNothing() {
        control.assertNothingAlive();
        control.reset();
    }

    private Path model() {
        return TinyModels.write(folder.resolve("model"), CONFIG, new ReferenceEngine(), DType.BF16, 6);
    }

    @ParameterizedTest
    @CsvSource({"F32, 64, 0", "BF16, 64, 1048576", "F32, 0, 0", "BF16, 0, 1048576"})
    void noBitChanges(Precision precision, int border, long chunk) {
        Path model = model();
        TinyRun expected;
        try (Engine engine = Emulation.open(border)) {
            expected = TinyRun.of(engine, model, precision, LORA, TRAINING, null);
        }
        try (Engine engine = Emulation.readOnly(border, chunk)) {
            assertThat(engine.protects(1)).isTrue();
            assertThat(engine.protects(2)).isEqualTo(border == 0);
            TinyRun actual = TinyRun.of(engine, model, precision, LORA, TRAINING, folder.resolve("merged"));
            assertThat(actual).usingRecursiveComparison().isEqualTo(expected);
            assertThat(control.liveHandles(Handle.MAPPED_MEMORY)).as("freed").isZero();
        }
        control.assertNothingViolated();
    }

    // ---- writes

    private static Arguments write(String failure, BiConsumer<Engine, Tensor> operation) {
        return Arguments.of(failure, operation);
    }

    static Stream<Arguments> writes() {
        return Stream.of(
                write("cuMemsetD8Async: .*", Engine::zero),
                write("cuMemcpyHtoDAsync: .*", (engine, weight) -> engine.upload(new float[16], weight)),
                write("convert of .*", (engine, weight) -> engine.convert(other(engine), weight)),
                write("product of .*", (engine, weight) -> {
                    Tensor x = other(engine);
                    engine.linearForward(
                            x, List.of(new Projection(other(engine), null, List.of(), weight, null, null, null)));
                }));
    }

    private static Tensor other(Engine engine) {
        Tensor tensor = Tensor.of(engine.allocate(64), 0, DType.F32, 4, 4);
        engine.upload(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, tensor);
        return tensor;
    }

    @ParameterizedTest
    @MethodSource("writes")
    void aWriteFails(String failure, BiConsumer<Engine, Tensor> write) {
        try (Engine engine = Emulation.readOnly(0, 1 << 20)) {
            Tensor first = writable(freeze(engine));
            engine.protectFrozen();
            // in the same mapping, as the weights that an adapter changes lie beside those of the base
            Tensor second = writable(freeze(engine));
            engine.zero(first);
            engine.zero(second);
            engine.protectFrozen();
            assertThat(engine.download(second)).containsOnly(0);
            assertThatThrownBy(() -> write.accept(engine, second))
                    .isInstanceOf(EngineFailure.class)
                    .hasMessageMatching(failure);
            assertThat(control.lastViolation()).contains("protected");
        }
    }

    @Test
    void modelsAreProtectedWhenTheyAreLoaded() {
        LoraConfig pissa = LoraConfig.builder()
                .rank(3)
                .targets("q_proj")
                .init(AdapterInit.PISSA)
                .build();
        List<TensorView> frozen = new ArrayList<>();
        try (Engine engine = FreezeListener.over(Emulation.readOnly(0, 1 << 20), frozen::add)) {
            try (PretrainedModel base = PretrainedModel.load(model(), engine, Precision.F32)) {
                assertProtected(engine, frozen);
                int loaded = frozen.size();
                base.attach(pissa, 1);
                assertThat(frozen).hasSizeGreaterThan(loaded);
                assertProtected(engine, frozen);
            }
            frozen.clear();
            PretrainedModel.random(CONFIG, engine, Precision.F32, 1);
            assertProtected(engine, frozen);
        }
    }

    private static void assertProtected(Engine engine, List<TensorView> frozen) {
        assertThat(frozen).hasSizeGreaterThan(20);
        for (TensorView weight : frozen) {
            assertThatThrownBy(() -> engine.zero(writable(weight))).isInstanceOf(EngineFailure.class);
        }
    }

    private static TensorView freeze(Engine engine) {
        return engine.freeze(Arena.ofAuto().allocate(64), DType.F32, 4, 4, DType.F32);
    }

    /** What no code of the engine's callers can make of a frozen weight without meaning to. */
    private static Tensor writable(TensorView weight) {
        return Tensor.of(weight.memory(), 0, DType.F32, weight.rows(), weight.cols());
    }

    // ---- memory

    private static TrainingPlan plan(Engine engine, Path model, LoraConfig lora) {
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            return TrainingPlan.of(
                    engine,
                    checkpoint,
                    CONFIG,
                    Precision.BF16,
                    new Method.Lora(lora, TargetMatcher.match(lora, Decoder.linearModules(CONFIG))),
                    TrainingSize.of(TinyRun.DATA, null, TRAINING.batchSize()));
        }
    }

    /** On a device that has what the plan says and no more, also with new frozen weights beside the base's. */
    @ParameterizedTest
    @CsvSource({"0, kaiming", "64, kaiming", "0, pissa", "64, pissa"})
    void aRunTakesNoMoreThanItsPlan(int border, String init) {
        Path model = model();
        LoraConfig lora = LoraConfig.builder()
                .rank(3)
                .targets("q_proj,k_proj,v_proj,down_proj")
                .init(AdapterInit.parse(init))
                .build();
        try (CudaEngine engine = Emulation.readOnly(border, 1 << 20)) {
            long own = control.liveBytes();
            TrainingPlan plan = plan(engine, model, lora);
            control.setDeviceBytes(plan.allocatedBytes());
            assertThat(engine.availableBytes()).isEqualTo(plan.allocatedBytes());
            plan.reserve(engine);
            assertThat(control.liveHandles(Handle.MAPPED_MEMORY))
                    .as("for all weights")
                    .isEqualTo(1);
            try (PretrainedModel base = PretrainedModel.load(model, engine, Precision.BF16);
                    Trainer trainer = new Trainer(base.attach(lora, 1), TinyRun.DATA, null, TRAINING)) {
                trainer.train(step -> {});
                assertThat(control.liveHandles(Handle.MAPPED_MEMORY)).isEqualTo(1);
            }
            assertThat(control.liveBytes()).as("all freed").isEqualTo(own);
        }
        control.assertNothingViolated();
    }

    @Test
    void modelsComeAndGo() {
        Path model = model();
        try (CudaEngine engine = Emulation.readOnly(0, 0)) {
            long own = engine.liveBytes();
            long bytes = plan(engine, model, LORA).frozen().totalBytes();
            PretrainedModel first = PretrainedModel.load(model, engine, Precision.BF16);
            assertThat(engine.liveBytes()).isEqualTo(own + bytes);
            long fingerprint = first.residentFingerprint();
            try (PretrainedModel second = PretrainedModel.load(model, engine, Precision.BF16)) {
                assertThat(engine.liveBytes()).isEqualTo(own + 2 * bytes);
                first.close();
                assertThat(second.residentFingerprint()).isEqualTo(fingerprint);
            }
            assertThat(engine.liveBytes()).isEqualTo(own);
            assertThat(control.liveHandles(Handle.MAPPED_MEMORY)).isZero();
        }
        control.assertNothingViolated();
    }

    // ---- a driver that refuses

    private void load(Engine engine, Path model) {
        PretrainedModel.load(model, engine, Precision.BF16).close();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, TRIAL})
    void aDriverWithoutReadOnlyMappingsLeavesWeightsWritable(int call) {
        control.fail(Kind.MAPPING, call);
        try (CudaEngine engine = Emulation.readOnly(0, 0)) {
            assertThat(engine.protects(1)).isFalse();
            assertThat(engine.bufferLayout().engineBytes()).isEqualTo(engine.liveBytes());
            load(engine, model());
            assertThat(control.count(Kind.MAPPING)).as("not tried again").isEqualTo(call);
        }
        control.assertNothingViolated();
    }

    @ParameterizedTest
    @EnumSource(names = {"ALLOCATION", "MAPPING"})
    void aLoadThatFailsLeavesNothing(Kind kind) {
        Path model = model();
        try (CudaEngine engine = Emulation.readOnly(0, 0)) {
            long own = engine.liveBytes();
            long allocations = control.liveAllocations();
            long before = control.count(kind);
            load(engine, model);
            long count = control.count(kind) - before;
            assertThat(count).isGreaterThan(4);
            for (long n = 1; n <= count; n++) {
                control.fail(kind, n);
                Throwable thrown = catchThrowable(() -> load(engine, model));
                if (kind == Kind.MAPPING) {
                    assertThat(thrown)
                            .isInstanceOf(EngineFailure.class)
                            .hasMessageMatching("cuMem(AddressReserve|Map|SetAccess): CUDA_ERROR_NOT_SUPPORTED, .*");
                } else {
                    assertThat(thrown).isInstanceOf(InputException.class).hasMessageStartingWith("out of GPU memory: ");
                }
                assertThat(engine.liveBytes()).as("after %s %d failed", kind, n).isEqualTo(own);
                assertThat(control.liveAllocations()).isEqualTo(allocations);
                assertThat(control.liveHandles(Handle.MAPPED_MEMORY)).isZero();
            }
            load(engine, model);
        }
        control.assertNothingViolated();
    }
}
