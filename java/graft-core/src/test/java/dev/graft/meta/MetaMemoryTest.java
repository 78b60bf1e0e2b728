package dev.graft.meta;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Architecture;
import dev.graft.model.Decoder;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.Method;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What meta-learning takes is what is planned for it, in the engine's memory and on the host. */
class MetaMemoryTest {
    private static final LoraConfig LORA = LoraConfig.builder().rank(2).build();
    private static final TrainingSize SIZE = new TrainingSize(20, 10);

    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();
    private PretrainedModel base;
    private long before;

    @BeforeEach
    void open() {
        TinyModels.write(folder, TinyModels.config(Architecture.QWEN3), engine, DType.F32, 6);
        before = engine.availableBytes();
        base = PretrainedModel.load(folder, engine, Precision.BF16);
    }

    @AfterEach
    void close() {
        base.close();
    }

    @Test
    void objectivesTakeWhatThePlanWithoutOptimizerSays() {
        Method method = new Method.Lora(LORA, TargetMatcher.match(LORA, Decoder.linearModules(base.config())));
        TrainingPlan plan =
                TrainingPlan.ofGradients(engine, base.checkpoint(), base.config(), Precision.BF16, method, SIZE);
        assertThat(plan.total().bytesByKind()).doesNotContainKey(MemoryKind.OPTIMIZER);
        LoraModel model = base.attach(LORA, 1);
        try (ModelObjectives objectives = new ModelObjectives(model, SIZE, 2)) {
            assertThat(before - engine.availableBytes()).isEqualTo(plan.allocatedBytes());
            assertThat(plan.buffers().bytesByKind().get(MemoryKind.GRADIENTS))
                    .as("one vector, in the engine's memory rounded up to its alignment")
                    .isBetween(Float.BYTES * (long) objectives.size(), Float.BYTES * (objectives.size() + 15L));
        }
    }

    @ParameterizedTest
    @CsvSource({"REPTILE, SGD, ADAM", "REPTILE, ADAM, SGD", "FOMAML, ADAM, ADAM", "MAML, SGD, ADAM", "MAML, SGD, SGD"})
    void aTrainerHoldsTheVectorsThatItSays(MetaAlgorithm algorithm, InnerRule inner, OuterRule outer)
            throws IllegalAccessException {
        InnerLoop loop = new InnerLoop(inner, 3, 0.1, 1);
        MetaConfig config = new MetaConfig(
                algorithm, loop, outer, 0.1, 1, LearningRateSchedule.CONSTANT, 5, 1, new Episodes(2, 2, 1));
        List<MetaTask> tasks = List.of(new MetaTask("task", TinyModels.rows(4, 9, 1)));
        try (ModelObjectives objectives = new ModelObjectives(base.attach(LORA, 1), SIZE, 2)) {
            MetaTrainer trainer = new MetaTrainer(objectives, tasks, config);
            int inTransit = 1;
            assertThat(vectors(trainer, objectives.size()) + inTransit).isEqualTo(MetaTrainer.hostVectors(config));
            int starts = 2;
            assertThat(vectors(new Learner(loop, objectives.size()), objectives.size()) + starts)
                    .isEqualTo(StartComparison.hostVectors(loop));
        }
    }

    /** Arrays of {@code length} numbers that {@code owner} reaches through objects of this package. */
    private static int vectors(@Nullable Object owner, int length) throws IllegalAccessException {
        if (owner instanceof float[] vector) {
            return vector.length == length ? 1 : 0;
        }
        int count = 0;
        if (owner instanceof float[][] vectors) {
            for (int i = 0; i < vectors.length; i++) {
                count += vectors(vectors[i], length);
            }
        } else if (owner != null
                && owner.getClass().getPackageName().equals("dev.graft.meta")
                && !(owner instanceof Enum)) {
            for (Field field : owner.getClass().getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    field.setAccessible(true);
                    count += vectors(field.get(owner), length);
                }
            }
        }
        return count;
    }
}
