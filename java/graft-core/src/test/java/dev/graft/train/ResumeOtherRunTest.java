package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.model.FullModel;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Trainable;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints of runs by another method, or with more to their adapter, or on other rows: refused in one line that says which. */
class ResumeOtherRunTest {
    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();
    private final List<Example> data = TinyModels.rows(4, 9, 8);
    private PretrainedModel base;
    private FullModel full;

    @BeforeEach
    void open() {
        Path model =
                TinyModels.write(folder.resolve("base"), TinyModels.config(Architecture.QWEN3), engine, DType.F32, 6);
        base = PretrainedModel.load(model, engine, Precision.F32);
        full = FullModel.load(model, engine, Precision.F32);
    }

    @AfterEach
    void close() {
        full.close();
        base.close();
    }

    private Trainable lora() {
        return base.attach(LoraConfig.builder().rank(2).build(), 1);
    }

    private Trainable bottlenecks() {
        return base.attach(new BottleneckConfig(3, BottleneckConfig.Placement.HOULSBY), 1);
    }

    private static TrainConfig config(double learningRate) {
        return TrainConfig.builder()
                .batchSize(2)
                .steps(1)
                .saveEvery(1)
                .learningRate(learningRate)
                .build();
    }

    private Path run(Trainable model, String name) {
        Path out = folder.resolve(name);
        try (Trainer trainer = new Trainer(model, data, null, config(1e-3))) {
            trainer.output(out, false).train(step -> {});
        }
        return out;
    }

    /** Also with another learning rate: methods have defaults of their own. */
    private void refused(Path out, Trainable model, double learningRate, List<Example> rows, String... named) {
        try (Trainer trainer = new Trainer(model, rows, null, config(learningRate))) {
            assertThatThrownBy(() -> trainer.output(out, true))
                    .isInstanceOf(InputException.class)
                    .hasMessageContainingAll(named)
                    .message()
                    .doesNotContain("\n");
        }
    }

    @Test
    void anotherMethodIsNamedFirst() {
        Path adapter = run(lora(), "lora");
        refused(adapter, full, 1e-5, data, "was a run with --method lora, this is one with full");
        refused(adapter, bottlenecks(), 1e-4, data, "was a run with --method lora, this is one with adapter");
        Path model = run(full, "full");
        refused(model, lora(), 1e-3, data, "was a run with --method full, this is one with lora");
        refused(run(bottlenecks(), "bottlenecks"), full, 1e-3, data, "was a run with --method adapter");
    }

    @Test
    void doraIsComparedAlsoWhereItIsGone() {
        LoraConfig.Builder pissa = LoraConfig.builder().rank(2).init(AdapterInit.PISSA);
        Path out = run(base.attach(pissa.dora(true).build(), 1), "dora");
        refused(out, base.attach(pissa.dora(false).build(), 1), 1e-3, data, "had dora true, now it is false");
    }

    @Test
    void otherRowsNeedANewStartOfTheSameKind() {
        List<Example> other = TinyModels.rows(4, 9, 9);
        refused(run(lora(), "lora"), lora(), 1e-3, other, "other data", "--init-adapter ");
        refused(run(full, "full"), full, 1e-3, other, "other data", "start anew from it with --model ");
    }
}
