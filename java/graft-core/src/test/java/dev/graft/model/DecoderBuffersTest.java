package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.data.Example;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import dev.graft.train.Method;
import dev.graft.train.TrainConfig;
import dev.graft.train.Trainer;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The plan that is printed is the memory that is taken. */
class DecoderBuffersTest {
    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();

    @ParameterizedTest
    @EnumSource
    void planningCountsWhatIsAllocated(DecoderBuffers.Use use) {
        DecoderConfig config = TinyModels.config(Architecture.QWEN3);
        for (Precision precision : Precision.values()) {
            PlanningAllocator plan = new PlanningAllocator(engine.bufferLayout());
            new DecoderBuffers(plan, config, precision, List.of(), 45, 33, use);
            long before = engine.availableBytes();
            try (Workspace workspace = new Workspace(engine)) {
                new DecoderBuffers(workspace, config, precision, List.of(), 45, 33, use);
                assertThat(before - engine.availableBytes())
                        .as(use + " in " + precision)
                        .isEqualTo(plan.plan().totalBytes());
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void aTrainingRunTakesWhatItsPlanSays(Precision precision) {
        TinyModels.write(folder, TinyModels.config(Architecture.LLAMA), engine, DType.F32, 1);
        LoraConfig lora = LoraConfig.builder()
                .rank(3)
                .dropout(0.1)
                .modulesToSave("lm_head", "input_layernorm")
                .build();
        TrainConfig training = TrainConfig.builder().batchSize(3).steps(1).build();
        List<Example> data = TinyModels.rows(7, 30, 2);
        long before = engine.availableBytes();
        try (PretrainedModel base = PretrainedModel.load(folder, engine, precision)) {
            Method method = new Method.Lora(lora, TargetMatcher.match(lora, Decoder.linearModules(base.config())));
            TrainingPlan plan = TrainingPlan.of(
                    engine,
                    base.checkpoint(),
                    base.config(),
                    precision,
                    method,
                    TrainingSize.of(data, null, training.batchSize()));
            LoraModel model = base.attach(lora, 0);
            assertThat(method.trainableCount(base.config()))
                    .isEqualTo(model.adapter().parameterCount());
            try (Trainer trainer = new Trainer(model, data, null, training)) {
                assertThat(before - engine.availableBytes()).isEqualTo(plan.allocatedBytes());
                assertThat(trainer.totalSteps()).isEqualTo(1);
            }
        }
        assertThat(engine.availableBytes()).as("all freed").isEqualTo(before);
    }

    @ParameterizedTest
    @EnumSource
    void aRunWithBottleneckModulesTakesWhatItsPlanSays(Precision precision) {
        TinyModels.write(folder, TinyModels.config(Architecture.LLAMA), engine, DType.F32, 1);
        TrainConfig training = TrainConfig.builder().batchSize(3).steps(1).build();
        List<Example> data = TinyModels.rows(7, 30, 2);
        for (BottleneckConfig.Placement placement : BottleneckConfig.Placement.values()) {
            Method.Adapter method = new Method.Adapter(new BottleneckConfig(6, placement));
            long before = engine.availableBytes();
            try (PretrainedModel base = PretrainedModel.load(folder, engine, precision)) {
                TrainingSize size = TrainingSize.of(data, null, training.batchSize());
                TrainingPlan plan = TrainingPlan.of(engine, base.checkpoint(), base.config(), precision, method, size);
                BottleneckModel model = base.attach(method.config(), 0);
                assertThat(method.trainableCount(base.config()))
                        .isEqualTo(model.parameters().count());
                try (Trainer trainer = new Trainer(model, data, null, training)) {
                    assertThat(before - engine.availableBytes()).isEqualTo(plan.allocatedBytes());
                    assertThat(trainer.totalSteps()).isEqualTo(1);
                }
            }
            assertThat(engine.availableBytes()).as("all freed").isEqualTo(before);
        }
    }

    @Test
    void weightsWithoutWhatAdaptersTookOverAreCounted() {
        TinyModels.write(folder, TinyModels.config(Architecture.LLAMA), engine, DType.F32, 1);
        LoraConfig plain =
                LoraConfig.builder().rank(3).targets("v_proj,up_proj").build();
        LoraConfig pissa = LoraConfig.builder()
                .rank(3)
                .targets("v_proj,up_proj")
                .init(AdapterInit.PISSA)
                .build();
        for (Precision precision : Precision.values()) {
            try (PretrainedModel base = PretrainedModel.load(folder, engine, precision)) {
                long bytes =
                        plan(base, pissa).allocatedBytes() - plan(base, plain).allocatedBytes();
                // two layers, v_proj [12, 20] and up_proj [28, 20]
                assertThat(bytes)
                        .isEqualTo(2L * (12 + 28) * 20 * precision.compute().byteSize());
            }
        }
    }

    private TrainingPlan plan(PretrainedModel base, LoraConfig lora) {
        Method method =
                new Method.Lora(lora, TargetMatcher.match(lora, base.decoder().linearModules()));
        return TrainingPlan.of(
                engine, base.checkpoint(), base.config(), base.precision(), method, new TrainingSize(9, 9));
    }

    @Test
    void aGeneratorTakesWhatItsPlanSays() {
        TinyModels.write(folder, TinyModels.config(Architecture.MISTRAL), engine, DType.F32, 1);
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            MemoryPlan plan = Generator.plan(base, 300);
            long before = engine.availableBytes();
            try (Generator generator = new Generator(base, 300)) {
                assertThat(before - engine.availableBytes()).isEqualTo(plan.totalBytes());
                assertThat(generator).isNotNull();
            }
        }
    }
}
