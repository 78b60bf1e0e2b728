package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.cuda.driver.OnDevice;
import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import dev.graft.testing.TinyModels;
import dev.graft.train.TrainConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Nothing writes a frozen weight after it was loaded: every row of every W0 is declared read-only to the device, which refuses copies
 * and products into it, and looks after each launch whether a kernel wrote there. Borders may be written.
 */
class ProtectedWeightsTest {
    private static final LoraConfig LORA = LoraConfig.builder()
            .rank(3)
            .targets("q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj,lm_head")
            .build();
    private static final TrainConfig TRAINING =
            TrainConfig.builder().batchSize(5).steps(2).learningRate(1e-2).build();

    @TempDir
    Path folder;

    private static EmulatorControl control;

    @BeforeAll
    static void open() {
        control = Emulation.control();
    }

    @BeforeEach
    void lookAfterEachLaunch() {
        control.setVerify(true);
    }

    @AfterEach
    void putBack() {
        control.reset();
    }

    private long address(TensorView view) {
        return ((OnDevice) view.memory()).range().address() + view.byteOffset();
    }

    private void protect(TensorView weight) {
        int size = weight.dtype().byteSize();
        for (int row = 0; row < weight.rows(); row++) {
            control.protect(address(weight) + row * weight.pitch() * size, (long) weight.cols() * size);
        }
    }

    /** The engine, protecting what it froze. */
    private Engine protecting(Engine engine, List<TensorView> frozen) {
        return FreezeListener.over(engine, weight -> {
            frozen.add(weight);
            protect(weight);
        });
    }

    @ParameterizedTest
    @CsvSource({"F32, 64", "BF16, 64", "F32, 0", "BF16, 0"})
    void noWeightIsWritten(Precision precision, int border) {
        TinyModels.write(folder, TinyModels.config(Architecture.QWEN2), new ReferenceEngine(), DType.BF16, 6);
        List<TensorView> frozen = new ArrayList<>();
        try (Engine engine = protecting(Emulation.open(border), frozen)) {
            TinyRun run = TinyRun.of(engine, folder, precision, LORA, TRAINING, null);
            assertThat(run.losses()).doesNotContain(Double.NaN);
        }
        assertThat(frozen).hasSizeGreaterThan(20);
        assertThat(frozen.stream().anyMatch(weight -> weight.border() > 0)).isEqualTo(border > 0);
        control.assertNothingViolated();
    }

    @Test
    void aWriteWouldBeFound() {
        try (Engine engine = Emulation.open()) {
            Tensor target = Tensor.of(engine.allocate(4 * 16), 0, DType.F32, 4, 4);
            Tensor source = Tensor.of(engine.allocate(4 * 16), 0, DType.F32, 4, 4);
            engine.upload(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, source);
            protect(target.rows(1, 3));
            engine.convert(source.rows(0, 1), target.rows(0, 1));
            assertThatThrownBy(() -> engine.zero(target.rows(2, 3))).isInstanceOf(EngineFailure.class);
            assertThat(control.lastViolation()).contains("protected");
            assertThatThrownBy(() -> engine.convert(source.rows(1, 2), target.rows(1, 2)))
                    .isInstanceOf(EngineFailure.class);
            assertThat(control.lastViolation()).contains("protected, have changed");
        }
    }
}
