package dev.graft.cli.compare;

import dev.graft.cli.console.Console;
import dev.graft.cli.options.TrainRequest;
import dev.graft.cli.run.Median;
import dev.graft.cli.run.MetaTasks;
import dev.graft.cli.run.OpenTrainable;
import dev.graft.cli.tasks.TaskFamily;
import dev.graft.cli.tasks.TaskKind;
import dev.graft.data.Tokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.meta.Adaptation;
import dev.graft.meta.Episodes;
import dev.graft.meta.InnerLoop;
import dev.graft.meta.InnerRule;
import dev.graft.meta.MetaAlgorithm;
import dev.graft.meta.MetaConfig;
import dev.graft.meta.MetaTrainer;
import dev.graft.meta.ModelObjectives;
import dev.graft.meta.OuterRule;
import dev.graft.meta.StartComparison;
import dev.graft.model.ConfigReader;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.Method;
import dev.graft.train.TrainConfig;
import dev.graft.train.TrainingSize;
import java.nio.file.Path;
import java.util.List;

/** Learns a start of LoRA over generated tasks, none of them the compared one, and measures how fast it adapts. */
final class StartLearning {
    private static final int SHOTS = 8;
    private static final int QUERIES = 8;
    private static final int TASKS = 40;
    private static final int HELD_OUT = 4;
    private static final int BATCH = 8;
    private static final int SEQUENCE_LENGTH = 1024;
    private static final long SEED = 0;
    private static final InnerLoop INNER = new InnerLoop(InnerRule.ADAM, 5, 3e-3, 1);

    private final Console console;
    private final Engine engine;
    private final Path model;
    private final Precision precision;
    private final MetaTasks tasks;
    private final int metaSteps;

    StartLearning(
            Console console,
            Engine engine,
            Path model,
            Precision precision,
            TaskKind kind,
            Tokenizer tokenizer,
            int metaSteps) {
        this.console = console;
        this.engine = engine;
        this.model = model;
        this.precision = precision;
        this.metaSteps = metaSteps;
        this.tasks = MetaTasks.draw(
                new TaskFamily(List.of(kind)), tokenizer, new Episodes(SHOTS, QUERIES, SEED), TASKS, HELD_OUT);
    }

    /**
     * Learns it.
     *
     * @param plainSteps that the plain start is given to catch up
     * @param out where the start goes, an adapter
     */
    LearnedStart learn(Method.Lora lora, int plainSteps, Path out) {
        long begin = System.nanoTime();
        try (OpenTrainable open = open(lora);
                ModelObjectives objectives = objectives(open)) {
            float[] plain = objectives.values();
            MetaTrainer trainer = new MetaTrainer(objectives, tasks.learned(), config());
            trainer.train(step -> console.live("learning a start: meta-step " + step.step() + "/" + step.totalSteps()
                    + ", loss after adapting " + step.queryLoss()));
            console.endLive();
            open.model().save(out);
            double seconds = (System.nanoTime() - begin) / 1e9;
            Adaptation adaptation = new Adaptation(objectives, tasks.heldOut());
            StartComparison comparison =
                    StartComparison.measure(adaptation, trainer.values(), plain, INNER, plainSteps);
            double loraMs = innerMs(objectives);
            try (OpenTrainable full = open(new Method.Full());
                    ModelObjectives all = objectives(full)) {
                return new LearnedStart(
                        comparison,
                        tasks.learned().size(),
                        seconds,
                        loraMs,
                        innerMs(all),
                        4L * objectives.size(),
                        4L * all.size());
            }
        } finally {
            console.endLive();
        }
    }

    private OpenTrainable open(Method method) {
        TrainConfig train = TrainConfig.builder().batchSize(BATCH).seed(SEED).build();
        return OpenTrainable.open(
                new TrainRequest(
                        model, ConfigReader.read(model), method, null, train, precision, SEQUENCE_LENGTH, null),
                engine,
                precision,
                true);
    }

    private ModelObjectives objectives(OpenTrainable open) {
        return new ModelObjectives(open.model(), TrainingSize.of(tasks.rows(), null, BATCH), BATCH);
    }

    private MetaConfig config() {
        return new MetaConfig(
                MetaAlgorithm.REPTILE,
                INNER,
                OuterRule.SGD,
                1,
                0,
                LearningRateSchedule.LINEAR,
                metaSteps,
                4,
                new Episodes(SHOTS, QUERIES, SEED));
    }

    /** Time of an inner step, loss and gradient of one support set, the vector sent and its gradient fetched. */
    private double innerMs(ModelObjectives objectives) {
        float[] theta = objectives.values();
        float[] gradient = new float[theta.length];
        var support = objectives.of(tasks.heldOut().getFirst().support());
        double[] times = new double[7];
        for (int i = -2; i < times.length; i++) {
            long start = System.nanoTime();
            support.lossAndGradient(theta, gradient);
            if (i >= 0) {
                times[i] = (System.nanoTime() - start) / 1e6;
            }
        }
        return Median.of(times);
    }
}
