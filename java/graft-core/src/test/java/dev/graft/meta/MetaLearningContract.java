package dev.graft.meta;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.model.FullModel;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Trainable;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.TrainingSize;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Meta-learning of a small decoder. One body for all engines. */
public abstract class MetaLearningContract {
    private static final int BATCH = 4;

    @TempDir
    Path folder;

    private Engine engine;
    private PretrainedModel base;

    protected abstract Engine openEngine();

    @BeforeEach
    void open() {
        engine = openEngine();
        TinyModels.write(folder, TinyModels.config(Architecture.QWEN3), engine, DType.F32, 6);
        base = PretrainedModel.load(folder, engine, Precision.F32);
    }

    @AfterEach
    void close() {
        base.close();
        engine.close();
    }

    private LoraModel adapter() {
        return base.attach(LoraConfig.builder().rank(2).alpha(4).build(), 1);
    }

    /** In each task the answer to any two tokens is the same; over the tasks it is one of four. */
    private static List<MetaTask> tasks(int count, long seed) {
        Random random = new Random(seed);
        return IntStream.range(0, count)
                .mapToObj(task -> new MetaTask(
                        "task " + task,
                        Stream.generate(() -> row(random, 10 + task % 4))
                                .limit(9)
                                .toList()))
                .toList();
    }

    private static Example row(Random random, int answer) {
        int[] ids = {random.nextInt(TinyModels.VOCABULARY), random.nextInt(TinyModels.VOCABULARY), answer};
        return new Example(ids, new int[] {Example.MASKED, Example.MASKED, answer});
    }

    private static ModelObjectives objectives(Trainable model, List<MetaTask> tasks) {
        List<Example> rows =
                tasks.stream().flatMap(task -> task.rows().stream()).toList();
        return new ModelObjectives(model, TrainingSize.of(rows, null, BATCH), BATCH);
    }

    private static MetaConfig config(MetaAlgorithm algorithm, int metaSteps) {
        return new MetaConfig(
                algorithm,
                new InnerLoop(InnerRule.SGD, 3, 0.1, 1),
                algorithm == MetaAlgorithm.REPTILE ? OuterRule.SGD : OuterRule.ADAM,
                algorithm == MetaAlgorithm.REPTILE ? 1 : 0.02,
                algorithm == MetaAlgorithm.REPTILE ? 0 : 1,
                LearningRateSchedule.LINEAR,
                metaSteps,
                4,
                new Episodes(5, 4, 3));
    }

    private static float[] train(Trainable model, List<MetaTask> tasks, MetaConfig config) {
        try (ModelObjectives objectives = objectives(model, tasks)) {
            MetaTrainer trainer = new MetaTrainer(objectives, tasks, config);
            assertThat(trainer.train(step -> {})).isEqualTo(new MetaTrainer.Result(config.metaSteps(), true));
            assertThat(objectives.values()).as("what the model has in the end").isEqualTo(trainer.values());
            return trainer.values();
        }
    }

    @ParameterizedTest
    @EnumSource(MetaAlgorithm.class)
    void aLearnedStartAdaptsFasterToTasksThatItDoesNotKnow(MetaAlgorithm algorithm) {
        List<MetaTask> heldOut = tasks(4, 99);
        LoraModel model = adapter();
        MetaConfig config = config(algorithm, 25);
        try (ModelObjectives objectives = objectives(model, heldOut)) {
            float[] plain = objectives.values();
            float[] learned = train(model, tasks(12, 5), config);
            Adaptation adaptation = new Adaptation(objectives, config.episodes().first(heldOut));
            Adaptation.Curve from = adaptation.curve(plain, config.inner(), 12);
            Adaptation.Curve to = adaptation.curve(learned, config.inner(), 3);
            assertThat(from.losses()).hasSize(13);
            assertThat(to.after(3)).isLessThan(0.8 * from.after(3)).isLessThan(to.after(0));
            assertThat(from.stepsToReach(to.after(3)).orElse(13)).isGreaterThan(6);
            assertThat(from.stepsToReach(from.after(2))).hasValue(2);
            assertThat(from.stepsToReach(0)).isEmpty();
        }
    }

    @Test
    void allWeightsCanBeLearnedInTheSameWay() {
        List<MetaTask> tasks = tasks(8, 5);
        try (FullModel model =
                TinyModels.full(TinyModels.config(Architecture.LLAMA), engine, Precision.F32, DType.F32, 2)) {
            List<Double> losses = new ArrayList<>();
            try (ModelObjectives objectives = objectives(model, tasks)) {
                new MetaTrainer(objectives, tasks, config(MetaAlgorithm.REPTILE, 10))
                        .train(step -> losses.add(step.queryLoss()));
            }
            assertThat(losses.getLast()).isLessThan(0.75 * losses.getFirst());
        }
    }

    @Test
    void sameSeedSameBitsAndAnotherSeedOthers() {
        MetaConfig config = config(MetaAlgorithm.FOMAML, 2);
        float[] first = train(adapter(), tasks(6, 5), config);
        assertThat(train(adapter(), tasks(6, 5), config)).isEqualTo(first);
        MetaConfig other = new MetaConfig(
                config.algorithm(),
                config.inner(),
                config.outer(),
                config.outerLearningRate(),
                config.outerClipNorm(),
                config.schedule(),
                config.metaSteps(),
                config.tasksPerStep(),
                new Episodes(5, 4, 4));
        assertThat(train(adapter(), tasks(6, 5), other)).isNotEqualTo(first);
    }

    /** Along the meta-gradient itself, and along a random direction, against differences of the loss after three inner steps. */
    @ParameterizedTest
    @ValueSource(doubles = {0, 0.3})
    void secondOrderTermsAreTheSlopeOfTheLossAfterAdaptation(double clipNorm) {
        LoraModel model = adapter();
        TinyModels.randomise(model.adapter(), engine, 9);
        InnerLoop loop = new InnerLoop(InnerRule.SGD, 3, 0.05, clipNorm);
        List<Example> rows = TinyModels.rows(8, 9, 4);
        try (ModelObjectives objectives = objectives(model, List.of(new MetaTask("rows", rows)))) {
            Objective support = objectives.of(rows.subList(0, 5));
            Objective query = objectives.of(rows.subList(5, 8));
            float[] theta = objectives.values();
            float[] second = metaGradient(MetaAlgorithm.MAML, loop, theta, support, query);
            float[] first = metaGradient(MetaAlgorithm.FOMAML, loop, theta, support, query);
            float[] difference = new float[theta.length];
            Vectors.add(second, -1, first, difference);
            float[] random = TinyModels.normal(new Random(7), theta.length, 1);
            for (float[] direction : List.of(second, difference, random)) {
                double expected = Vectors.dot(second, direction) / Vectors.norm(direction);
                double slope = slope(loop, theta, direction, support, query);
                assertThat(slope).isCloseTo(expected, within(2e-3 * Vectors.norm(second)));
            }
            assertThat(Vectors.norm(difference))
                    .as("what first order leaves out")
                    .isGreaterThan(0.05 * Vectors.norm(second));
        }
    }

    private static float[] metaGradient(
            MetaAlgorithm algorithm, InnerLoop loop, float[] theta, Objective support, Objective query) {
        float[] sum = new float[theta.length];
        new MetaGradient(algorithm, loop, theta.length).addTo(sum, theta, support, query);
        return sum;
    }

    private static double slope(InnerLoop loop, float[] theta, float[] direction, Objective support, Objective query) {
        double step = 1e-3; // at 3e-3 the loss bends, at 3e-4 it begins to round
        double near = adaptedLoss(loop, theta, direction, step, support, query)
                - adaptedLoss(loop, theta, direction, -step, support, query);
        double far = adaptedLoss(loop, theta, direction, 2 * step, support, query)
                - adaptedLoss(loop, theta, direction, -2 * step, support, query);
        return (8 * near - far) / (12 * step);
    }

    private static double adaptedLoss(
            InnerLoop loop, float[] theta, float[] direction, double distance, Objective support, Objective query) {
        float[] moved = new float[theta.length];
        Vectors.add(theta, distance / Vectors.norm(direction), direction, moved);
        float[] sum = new float[theta.length];
        return new MetaGradient(MetaAlgorithm.REPTILE, loop, theta.length)
                .addTo(sum, moved, support, query)
                .queryLoss();
    }

    @Test
    void aLossIsTheMeanOverTargetsWhateverTheBatches() {
        LoraModel model = adapter();
        TinyModels.randomise(model.adapter(), engine, 9);
        List<Example> rows = TinyModels.rows(9, 9, 4);
        float[] theta;
        double whole;
        float[] wholeGradient;
        try (ModelObjectives objectives = new ModelObjectives(model, TrainingSize.of(rows, null, 9), 9)) {
            theta = objectives.values();
            wholeGradient = new float[theta.length];
            whole = objectives.of(rows).lossAndGradient(theta, wholeGradient);
            assertThat(objectives.of(rows).loss(theta)).isEqualTo(whole);
        }
        try (ModelObjectives objectives = new ModelObjectives(model, TrainingSize.of(rows, null, 2), 2)) {
            float[] gradient = new float[theta.length];
            assertThat(objectives.of(rows).lossAndGradient(theta, gradient)).isCloseTo(whole, within(1e-6));
            assertThat(gradient).containsExactly(wholeGradient, within(2e-6f));
        }
    }

    @Test
    void aRunCanBeStoppedAndKeepsWhatItLearned() {
        LoraModel model = adapter();
        List<MetaTask> tasks = tasks(4, 5);
        try (ModelObjectives objectives = objectives(model, tasks)) {
            float[] before = objectives.values();
            MetaTrainer trainer = new MetaTrainer(objectives, tasks, config(MetaAlgorithm.REPTILE, 9));
            MetaTrainer.Result result = trainer.train(step -> {
                if (step.step() == 2) {
                    trainer.requestStop();
                }
            });
            assertThat(result).isEqualTo(new MetaTrainer.Result(2, false));
            assertThat(objectives.values()).isEqualTo(trainer.values()).isNotEqualTo(before);
        }
    }

    @Test
    void aDivergingRunEndsInOneLineWithTheLastGoodStart() {
        LoraModel model = adapter();
        List<MetaTask> tasks = tasks(4, 5);
        MetaConfig config = new MetaConfig(
                MetaAlgorithm.REPTILE,
                new InnerLoop(InnerRule.SGD, 3, 1e30, 0),
                OuterRule.SGD,
                1,
                0,
                LearningRateSchedule.CONSTANT,
                3,
                2,
                new Episodes(5, 4, 3));
        try (ModelObjectives objectives = objectives(model, tasks)) {
            float[] before = objectives.values();
            MetaTrainer trainer = new MetaTrainer(objectives, tasks, config);
            assertThatThrownBy(() -> trainer.train(step -> {}))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("meta-step 1")
                    .hasMessageContaining("--inner-lr");
            assertThat(objectives.values()).isEqualTo(before);
        }
    }
}
