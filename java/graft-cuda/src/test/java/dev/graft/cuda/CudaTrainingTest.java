package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.cpu.CpuEngine;
import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.testing.TinyModels;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.TrainListener;
import dev.graft.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Whole runs on the CUDA engine against the CPU engine's, and against themselves. */
class CudaTrainingTest {
    private static final int BORDERED = CudaSettings.DEFAULT_BORDER;
    private static final int PLAIN = 0;
    private static final String ALL = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj,lm_head";

    @TempDir
    Path folder;

    private static LoraConfig lora(double dropout) {
        return LoraConfig.builder()
                .rank(4)
                .alpha(8)
                .dropout(dropout)
                .targets(ALL)
                .build();
    }

    private static TrainConfig.Builder training(int steps) {
        return TrainConfig.builder()
                .batchSize(2)
                .gradAccum(2)
                .steps(steps)
                .learningRate(3e-3)
                .seed(3);
    }

    /** The same file, whoever writes it. */
    private Path model(Architecture architecture, DType stored) {
        List<Integer> windows = architecture == Architecture.LLAMA ? List.of(0, 0) : List.of(5, 5);
        DecoderConfig config = TinyModels.config(architecture, architecture == Architecture.QWEN3, windows);
        try (Engine cpu = cpu()) {
            return TinyModels.write(folder.resolve("model"), config, cpu, stored, 6);
        }
    }

    private static Engine cpu() {
        return new CpuEngine(new WorkerPool(1));
    }

    private static TinyRun run(Engine opened, Path model, LoraConfig lora, @Nullable Path merged) {
        try (Engine engine = opened) {
            return TinyRun.of(engine, model, Precision.F32, lora, training(5).build(), merged);
        }
    }

    // ---- against the CPU

    @ParameterizedTest
    @EnumSource
    void trainsLikeTheCpu(Architecture architecture) throws IOException {
        Path model = model(architecture, DType.F32);
        // a tied head is not merged
        LoraConfig lora = architecture == Architecture.QWEN3
                ? LoraConfig.builder().rank(4).alpha(8).dropout(0.1).build()
                : lora(0.1);
        TinyRun expected = run(cpu(), model, lora, folder.resolve("cpu"));
        for (int border : new int[] {BORDERED, PLAIN}) {
            Path merged = folder.resolve("border-" + border);
            assertClose(run(Emulation.open(border), model, lora, merged), expected);
            assertSameModel(merged, folder.resolve("cpu"));
        }
    }

    /** With dropout the backward pass is never bordered; without, it is. */
    @ParameterizedTest
    @CsvSource({"0", "0.1"})
    void bothWaysOfMultiplyingAgree(double dropout) {
        Path model = model(Architecture.LLAMA, DType.F32);
        TinyRun plain = run(Emulation.open(PLAIN), model, lora(dropout), null);
        assertClose(run(Emulation.open(BORDERED), model, lora(dropout), null), plain);
        // q, k and v fit one by one and not together
        assertClose(run(Emulation.open(5), model, lora(dropout), null), plain);
        assertClose(run(cpu(), model, lora(dropout), null), plain);
    }

    /** Weights that are trained have no border, beside adapted ones in the same call that do. */
    @ParameterizedTest
    @EnumSource
    void modulesToSaveTrainLikeOnTheCpu(Precision precision) {
        Path model = model(Architecture.QWEN2, DType.BF16);
        LoraConfig lora = LoraConfig.builder()
                .rank(4)
                .targets("q_proj,up_proj,down_proj")
                .modulesToSave("embed_tokens", "lm_head", "norm", "k_proj", "gate_proj")
                .build();
        TinyRun expected = run(cpu(), model, lora, null);
        for (int border : new int[] {BORDERED, PLAIN}) {
            try (Engine engine = Emulation.open(border)) {
                TinyRun actual =
                        TinyRun.of(engine, model, precision, lora, training(5).build(), null);
                if (precision == Precision.F32) {
                    assertClose(actual, expected);
                } else {
                    assertThat(actual.evalLoss()).isCloseTo(expected.evalLoss(), within(0.02 * expected.evalLoss()));
                }
            }
        }
    }

    private static void assertClose(TinyRun actual, TinyRun expected) {
        assertThat(actual.losses()).hasSameSizeAs(expected.losses());
        for (int i = 0; i < expected.losses().size(); i++) {
            double loss = expected.losses().get(i);
            assertThat(actual.losses().get(i)).as("loss of step " + (i + 1)).isCloseTo(loss, within(1e-5 * loss));
            double norm = expected.norms().get(i);
            assertThat(actual.norms().get(i)).as("norm of step " + (i + 1)).isCloseTo(norm, within(1e-4 * norm));
        }
        assertThat(actual.values()).as("A and B").containsExactly(expected.values(), within(1e-4f));
        assertThat(actual.evalLoss()).isCloseTo(expected.evalLoss(), within(1e-5 * expected.evalLoss()));
        assertThat(actual.greedy()).as("tokens").hasSize(10).isEqualTo(expected.greedy());
    }

    private static void assertSameModel(Path actual, Path expected) throws IOException {
        assertThat(Files.mismatch(actual.resolve("config.json"), expected.resolve("config.json")))
                .isEqualTo(-1);
        try (Checkpoint a = Checkpoint.open(actual);
                Checkpoint e = Checkpoint.open(expected)) {
            assertThat(a.names()).isEqualTo(e.names());
            for (String name : e.names()) {
                int size = (int) e.info(name).elements();
                assertThat(HostFloats.read(a.data(name), DType.F32, 0, size))
                        .as(name)
                        .containsExactly(HostFloats.read(e.data(name), DType.F32, 0, size), within(1e-4f));
            }
        }
    }

    // ---- precision

    @ParameterizedTest
    @CsvSource({"64", "0"})
    void bf16FollowsFloat32(int border) {
        Path model = model(Architecture.QWEN2, DType.BF16);
        try (Engine engine = Emulation.open(border)) {
            // all rows in each step, so that losses of steps can be compared
            TrainConfig training = training(12).batchSize(5).learningRate(1e-2).build();
            TinyRun exact = TinyRun.of(engine, model, Precision.F32, lora(0.1), training, null);
            TinyRun rounded = TinyRun.of(engine, model, Precision.BF16, lora(0.1), training, null);
            assertThat(exact.losses().getLast())
                    .as("it learns")
                    .isLessThan(0.9 * exact.losses().getFirst());
            assertThat(rounded.losses()).isNotEqualTo(exact.losses());
            for (int i = 0; i < exact.losses().size(); i++) {
                double loss = exact.losses().get(i);
                assertThat(rounded.losses().get(i)).as("step " + (i + 1)).isCloseTo(loss, within(0.02 * loss));
            }
            assertThat(rounded.evalLoss()).isCloseTo(exact.evalLoss(), within(0.02 * exact.evalLoss()));
        }
    }

    @Test
    void tf32RoundsProductsAndOnlyWhereAskedFor() {
        Path model = model(Architecture.LLAMA, DType.F32);
        TinyRun exact = run(Emulation.open(BORDERED), model, lora(0), null);
        TinyRun rounded = run(Emulation.open(BORDERED, true, false), model, lora(0), null);
        double loss = exact.losses().getFirst();
        assertThat(rounded.losses().getFirst()).isNotEqualTo(loss).isCloseTo(loss, within(2e-3 * loss));
    }

    // ---- the same bits

    @ParameterizedTest
    @EnumSource
    void theSameSeedGivesTheSameBits(Precision precision) {
        Path model = model(Architecture.QWEN3, DType.BF16);
        TinyRun first = null;
        for (int i = 0; i < 2; i++) {
            try (Engine engine = Emulation.open()) {
                TinyRun run = TinyRun.of(
                        engine, model, precision, lora(0.1), training(4).build(), null);
                if (first != null) {
                    assertThat(run.losses()).isEqualTo(first.losses());
                    assertThat(run.values()).isEqualTo(first.values());
                    assertThat(run.evalLoss()).isEqualTo(first.evalLoss());
                }
                first = run;
            }
        }
    }

    /** The emulator puts off what is on the second stream until it is waited for, if ever it is. */
    @ParameterizedTest
    @CsvSource({"F32, 0", "BF16, 0", "BF16, 0.1"})
    void kernelsBesideProductsChangeNoBit(Precision precision, double dropout) {
        Path model = model(Architecture.QWEN2, DType.BF16);
        TinyRun one = null;
        for (boolean overlap : new boolean[] {false, true}) {
            if (Emulation.PLATFORM == CudaPlatform.EMULATED) {
                Emulation.control().setLate(overlap);
            }
            try (Engine engine = Emulation.open(BORDERED, false, overlap)) {
                TinyRun run = TinyRun.of(
                        engine, model, precision, lora(dropout), training(4).build(), null);
                if (one != null) {
                    assertThat(run.losses()).isEqualTo(one.losses());
                    assertThat(run.values()).isEqualTo(one.values());
                }
                one = run;
            }
        }
        if (Emulation.PLATFORM == CudaPlatform.EMULATED) {
            Emulation.control(); // as it was
        }
    }

    @ParameterizedTest
    @CsvSource({"F32, 1", "F32, 3", "BF16, 2"})
    void aResumedRunEndsWithTheBitsOfOneThatNeverStopped(Precision precision, int stopAfter) throws IOException {
        Path model = model(Architecture.LLAMA, DType.BF16);
        Path one = folder.resolve("one");
        Path two = folder.resolve("two");
        train(model, precision, one, 1, 0);
        train(model, precision, two, 1, stopAfter);
        assertThat(two.resolve("checkpoint-" + stopAfter)).isDirectory();
        // another seed of A: what the model starts with must not matter
        train(model, precision, two, 99, 0);
        assertThat(Files.mismatch(two.resolve("adapter_model.safetensors"), one.resolve("adapter_model.safetensors")))
                .isEqualTo(-1);
    }

    /** Each time on a fresh engine; goes on where {@code out} has a checkpoint. */
    private static void train(Path model, Precision precision, Path out, long seed, int stopAfter) {
        try (Engine engine = Emulation.open();
                PretrainedModel base = PretrainedModel.load(model, engine, precision)) {
            LoraModel adapted = base.attach(lora(0.1), seed);
            try (Trainer trainer =
                    new Trainer(adapted, TinyRun.DATA, null, training(4).build())) {
                trainer.output(out, true).train(new TrainListener() {
                    @Override
                    public void onStep(StepMetrics metrics) {
                        if (metrics.step() == stopAfter) {
                            trainer.requestStop();
                        }
                    }
                });
            }
            adapted.save(out);
        }
    }
}
