package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Adapters that are trained together end where each alone would have. One body for all engines. */
public abstract class JointTrainingContract {
    private static final int STEPS = 6;

    @TempDir
    Path folder;

    protected abstract Engine openEngine();

    /** Losses by step, and what A and B became. */
    private record Result(List<Double> losses, List<Double> norms, float[] values) {}

    private static final List<LoraConfig> ADAPTERS = List.of(
            LoraConfig.builder().rank(4).alpha(8).build(),
            LoraConfig.builder()
                    .rank(7)
                    .alpha(7)
                    .targets("q_proj,down_proj")
                    .dora(true)
                    .build(),
            LoraConfig.builder().rank(1).alpha(3).build());

    private static TrainConfig config(int member) {
        return TrainConfig.builder()
                .batchSize(3)
                .gradAccum(2)
                .steps(STEPS)
                .learningRate(new double[] {3e-3, 1e-2, 1e-3}[member])
                .clipNorm(member == 1 ? 0 : 0.5)
                .seed(member)
                .build();
    }

    private static LoraModel attach(PretrainedModel base, int member) {
        LoraModel model = base.attach(ADAPTERS.get(member), member);
        TinyModels.randomise(model.adapter(), base.engine(), member);
        return model;
    }

    @Test
    void eachAdapterEndsWhereItWouldAlone() {
        List<Example> data = TinyModels.rows(13, 21, 4);
        try (Engine engine = openEngine()) {
            TinyModels.write(folder, TinyModels.config(Architecture.QWEN2), engine, DType.F32, 3);
            try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
                List<Result> alone = new ArrayList<>();
                List<JointTrainer.Member> members = new ArrayList<>();
                for (int i = 0; i < ADAPTERS.size(); i++) {
                    alone.add(trainAlone(attach(base, i), data, config(i)));
                    members.add(new JointTrainer.Member(attach(base, i), config(i)));
                }
                List<Result> together = trainTogether(members, data);
                for (int i = 0; i < ADAPTERS.size(); i++) {
                    assertClose("adapter " + i, together.get(i), alone.get(i));
                }
            }
        }
    }

    /** How far A and B may lie apart after a few steps. */
    protected float valueTolerance() {
        return 2e-5f;
    }

    private void assertClose(String what, Result actual, Result expected) {
        for (int step = 0; step < STEPS; step++) {
            assertThat(actual.losses().get(step))
                    .as(what + ", loss of step " + (step + 1))
                    .isCloseTo(
                            expected.losses().get(step),
                            within(1e-5 * expected.losses().get(step)));
            assertThat(actual.norms().get(step))
                    .as(what + ", gradient norm of step " + (step + 1))
                    .isCloseTo(
                            expected.norms().get(step),
                            within(1e-4 * expected.norms().get(step)));
        }
        assertThat(actual.values()).as(what + ", A and B").containsExactly(expected.values(), within(valueTolerance()));
    }

    private static Result trainAlone(LoraModel model, List<Example> data, TrainConfig config) {
        List<Double> losses = new ArrayList<>();
        List<Double> norms = new ArrayList<>();
        try (Trainer trainer = new Trainer(model, data, null, config)) {
            trainer.train(metrics -> {
                losses.add(metrics.loss());
                norms.add(metrics.gradNorm());
            });
        }
        return new Result(
                losses, norms, model.engine().download(model.parameters().values()));
    }

    private static List<Result> trainTogether(List<JointTrainer.Member> members, List<Example> data) {
        List<Result> results = new ArrayList<>();
        for (JointTrainer.Member ignored : members) {
            results.add(new Result(new ArrayList<>(), new ArrayList<>(), new float[0]));
        }
        try (JointTrainer trainer = new JointTrainer(members, data)) {
            assertThat(trainer.totalSteps()).isEqualTo(STEPS);
            trainer.train(metrics -> {
                for (int i = 0; i < metrics.size(); i++) {
                    results.get(i).losses().add(metrics.get(i).loss());
                    results.get(i).norms().add(metrics.get(i).gradNorm());
                }
            });
        }
        for (int i = 0; i < results.size(); i++) {
            LoraModel model = members.get(i).model();
            results.set(
                    i,
                    new Result(
                            results.get(i).losses(),
                            results.get(i).norms(),
                            model.engine().download(model.parameters().values())));
        }
        return results;
    }

    /** A learning rate that throws one adapter off must not show in the others. */
    @Test
    void anAdapterThatDivergesDoesNotDisturbTheOthers() {
        List<Example> data = TinyModels.rows(6, 15, 4);
        try (Engine engine = openEngine()) {
            TinyModels.write(folder, TinyModels.config(Architecture.LLAMA), engine, DType.F32, 3);
            try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
                Result alone = trainAlone(attach(base, 0), data, config(0));
                LoraModel wild = attach(base, 2);
                float[] values = engine.download(wild.parameters().values());
                java.util.Arrays.fill(values, 3e38f);
                engine.upload(values, wild.parameters().values());
                wild.parameters().refresh(engine);
                List<Result> together = trainTogether(
                        List.of(
                                new JointTrainer.Member(wild, config(2)),
                                new JointTrainer.Member(attach(base, 0), config(0))),
                        data);
                assertThat(together.get(0).losses().getFirst()).isNotFinite();
                assertClose("the other", together.get(1), alone);
            }
        }
    }

    @Test
    void anAdapterThatTookOverAPartOfTheBaseIsRefused() {
        try (Engine engine = openEngine()) {
            TinyModels.write(folder, TinyModels.config(Architecture.LLAMA), engine, DType.F32, 3);
            try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
                LoraConfig olora =
                        LoraConfig.builder().rank(2).init(AdapterInit.OLORA).build();
                List<JointTrainer.Member> members = List.of(
                        new JointTrainer.Member(attach(base, 0), config(0)),
                        new JointTrainer.Member(base.attach(olora, 0), config(0)));
                assertThatThrownBy(() -> new JointTrainer(members, TinyModels.rows(4, 9, 1)))
                        .isInstanceOf(InputException.class)
                        .hasMessageContaining("--init olora")
                        .message()
                        .doesNotContain("\n");
            }
        }
    }

    @Test
    void adaptersOfDifferentRunsAreRefused() {
        try (Engine engine = openEngine()) {
            TinyModels.write(folder, TinyModels.config(Architecture.LLAMA), engine, DType.F32, 3);
            try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
                TrainConfig other =
                        TrainConfig.builder().batchSize(2).steps(STEPS).build();
                List<JointTrainer.Member> members = List.of(
                        new JointTrainer.Member(attach(base, 0), config(0)),
                        new JointTrainer.Member(attach(base, 1), other));
                assertThatThrownBy(() -> new JointTrainer(members, TinyModels.rows(4, 9, 1)))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("batch size");
            }
        }
    }
}
