package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.profile.EngineCalls;
import dev.graft.lora.LoraConfig;
import dev.graft.meta.ModelObjectives;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FullModel;
import dev.graft.model.Generator;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is set up half and then fails keeps no memory of the engine's, wherever it failed. */
class FailedSetupTest {
    @TempDir
    Path folder;

    private final ReferenceEngine memory = new ReferenceEngine();
    private final Engine engine = EngineCalls.through(this::call, memory);
    private final DecoderConfig config = TinyModels.config(Architecture.QWEN3);
    private final List<Example> data = TinyModels.rows(6, 9, 8);
    private final TrainConfig training = TrainConfig.builder().batchSize(2).build();

    private String failing = "";
    private int callsLeft;

    private @Nullable Object call(Method method, Object @Nullable [] arguments, EngineCalls.Call call)
            throws Throwable {
        if (method.getName().equals(failing) && callsLeft-- == 0) {
            throw new InputException("no memory left");
        }
        return call.make();
    }

    @BeforeEach
    void write() {
        TinyModels.write(folder, config, memory, DType.F32, 6);
    }

    /** Fails in the first call of {@code method}, in the second, and so on, until {@code setup} gets by without so many. */
    private void leavesNothing(String method, int leastCalls, Supplier<? extends AutoCloseable> setup)
            throws Exception {
        long before = memory.availableBytes();
        int calls = 0;
        for (boolean failed = true; failed; calls++) {
            failing = method;
            callsLeft = calls;
            try {
                setup.get().close();
                failed = false;
            } catch (InputException noMemory) {
                assertThat(noMemory).hasMessage("no memory left");
            } finally {
                failing = "";
            }
            assertThat(memory.availableBytes())
                    .as("after failing in call %d", calls)
                    .isEqualTo(before);
        }
        assertThat(calls).isGreaterThan(leastCalls);
    }

    private static LoraModel attach(PretrainedModel base) {
        return base.attach(LoraConfig.builder().rank(2).build(), 1);
    }

    @Test
    void trainers() throws Exception {
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            LoraModel model = attach(base);
            leavesNothing("allocate", 10, () -> new Trainer(model, data, data, training));
            leavesNothing("zero", 1, () -> new Trainer(model, data, null, training));
            List<JointTrainer.Member> members =
                    List.of(new JointTrainer.Member(model, training), new JointTrainer.Member(attach(base), training));
            leavesNothing("allocate", 10, () -> new JointTrainer(members, data));
        }
    }

    @Test
    void objectivesAndGenerators() throws Exception {
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            LoraModel model = attach(base);
            leavesNothing("allocate", 10, () -> new ModelObjectives(model, TrainingSize.of(data, null, 2), 2));
            leavesNothing("allocate", 10, () -> new Generator(model, 12));
        }
    }

    @Test
    void models() throws Exception {
        for (String method : List.of("allocate", "upload")) {
            leavesNothing(method, 1, () -> FullModel.random(config, engine, Precision.BF16, DType.BF16, 1));
            leavesNothing(method, 1, () -> FullModel.load(folder, engine, Precision.BF16));
        }
        // the last that loading asks for, when the weights are there already
        leavesNothing("bufferLayout", 1, () -> PretrainedModel.load(folder, engine, Precision.BF16));
        leavesNothing("bufferLayout", 1, () -> PretrainedModel.random(config, engine, Precision.BF16, 1));
    }
}
