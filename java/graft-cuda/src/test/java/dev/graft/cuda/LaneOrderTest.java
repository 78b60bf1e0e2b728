package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import dev.graft.train.TrainConfig;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Whole runs have the same bits whatever the order of threads, warps and blocks, and however many of them run at once. Every kernel
 * by itself is held to that in {@link CudaEngineTest}.
 */
class LaneOrderTest {
    private static final LoraConfig LORA = LoraConfig.builder()
            .rank(5)
            .alpha(10)
            .dropout(0.1)
            .targets("q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj,lm_head")
            .build();
    private static final TrainConfig TRAINING = TrainConfig.builder()
            .batchSize(3)
            .gradAccum(2)
            .steps(2)
            .learningRate(5e-3)
            .build();

    @TempDir
    Path folder;

    private static EmulatorControl control;

    @BeforeAll
    static void open() {
        control = Emulation.control();
    }

    @AfterEach
    void putBack() {
        control.assertNothingViolated();
        control.reset();
    }

    @ParameterizedTest
    @CsvSource({"F32, 64", "BF16, 64", "F32, 0", "BF16, 0"})
    void trainingDoesNotDependOnTheOrderOfThreads(Precision precision, int border) {
        try (Engine engine = Emulation.open(border)) {
            // a window of 7 keys, biases and norms of heads between them
            Architecture architecture = precision == Precision.F32 ? Architecture.QWEN3 : Architecture.QWEN2;
            TinyModels.write(folder, TinyModels.config(architecture, false, List.of(0, 7)), engine, DType.F32, 6);
            TinyRun ascending = run(engine, precision);
            control.setDescending(true);
            assertSame(run(engine, precision), ascending);
            control.setWorkers(2);
            assertSame(run(engine, precision), ascending);
        }
    }

    private TinyRun run(Engine engine, Precision precision) {
        return TinyRun.of(engine, folder, precision, LORA, TRAINING, null);
    }

    private static void assertSame(TinyRun run, TinyRun other) {
        assertThat(run.losses()).isEqualTo(other.losses());
        assertThat(run.norms()).isEqualTo(other.norms());
        assertThat(run.values()).isEqualTo(other.values());
        assertThat(run.evalLoss()).isEqualTo(other.evalLoss());
        assertThat(run.greedy()).isEqualTo(other.greedy());
    }
}
