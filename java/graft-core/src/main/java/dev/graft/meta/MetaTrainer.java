package dev.graft.meta;

import dev.graft.common.InputException;
import dev.graft.engine.EngineFailure;
import dev.graft.meta.MetaGradient.TaskLosses;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Learns an initialisation θ: in each meta-step, some tasks adapt from θ by the inner loop, each on support rows of its own, and θ
 * moves along the mean of their meta-gradients. What is learned is what the model trains: A and B of an adapter, whose B then no
 * longer starts at zero, or all weights.
 *
 * <p>Vectors are allocated when the trainer is made. The order of tasks and their splits are functions of the seed.
 */
public final class MetaTrainer {
    /**
     * How a run ended.
     *
     * @param steps done
     * @param completed false where {@link #requestStop} ended it early
     */
    public record Result(int steps, boolean completed) {}

    private final ModelObjectives objectives;
    private final List<MetaTask> tasks;
    private final MetaConfig config;
    private final MetaGradient metaGradient;
    private final float[] theta;
    private final float[] direction;
    private final @Nullable Adam adam;
    private volatile boolean stopRequested;

    /**
     * Starts from the model's values.
     *
     * @param objectives whose buffers hold the largest batch of the tasks' rows
     * @throws InputException where a task has too few rows
     */
    public MetaTrainer(ModelObjectives objectives, List<MetaTask> tasks, MetaConfig config) {
        if (tasks.isEmpty()) {
            throw new InputException("there is no task to learn from");
        }
        config.episodes().requireEnough(tasks);
        this.objectives = objectives;
        this.tasks = List.copyOf(tasks);
        this.config = config;
        this.metaGradient = new MetaGradient(config.algorithm(), config.inner(), objectives.size());
        this.theta = objectives.values();
        this.direction = new float[theta.length];
        this.adam = config.outer() == OuterRule.ADAM ? new Adam(theta.length) : null;
    }

    /**
     * How many float32 vectors of the length of θ a run holds on the host: θ, the direction, Adam's moments, those of the
     * meta-gradient, and the gradient that comes from the engine.
     */
    public static long hostVectors(MetaConfig config) {
        return 2
                + (config.outer() == OuterRule.ADAM ? Adam.VECTORS : 0)
                + MetaGradient.vectors(config.algorithm(), config.inner())
                + 1;
    }

    /** A copy of θ as it is now. */
    public float[] values() {
        return theta.clone();
    }

    /** Asks a running {@link #train} to end after the current meta-step. From any thread. */
    public void requestStop() {
        stopRequested = true;
    }

    /**
     * Trains to the end and gives the model the learned θ.
     *
     * @throws InputException where a loss is no longer finite; the model has the θ of the last good meta-step
     * @throws EngineFailure where the hardware failed
     */
    public Result train(Consumer<? super MetaMetrics> onStep) {
        long start = System.nanoTime();
        int step = 0;
        try {
            while (step < config.metaSteps()) {
                onStep.accept(step(step, start));
                step++;
                if (stopRequested && step < config.metaSteps()) {
                    break;
                }
            }
        } catch (EngineFailure failure) {
            throw failure.at("meta-step " + (step + 1), "");
        } catch (InputException failure) {
            objectives.set(theta);
            throw failure;
        }
        objectives.set(theta);
        return new Result(step, step == config.metaSteps());
    }

    private MetaMetrics step(int step, long start) {
        Arrays.fill(direction, 0);
        int count = config.tasksPerStep();
        double supportLoss = 0;
        double queryLoss = 0;
        double innerSeconds = 0;
        for (int i = 0; i < count; i++) {
            TaskLosses losses = task(step, (long) step * count + i);
            supportLoss += losses.supportLoss() / count;
            queryLoss += losses.queryLoss() / count;
            innerSeconds += losses.innerSeconds();
        }
        double norm = Vectors.norm(direction) / count;
        requireFinite(step, "the meta-gradient's norm", norm);
        double learningRate = config.outerLearningRate() * config.schedule().factor(step, 0, config.metaSteps());
        double scale = Vectors.clipFactor(norm, config.outerClipNorm()) / count;
        if (adam == null) {
            Vectors.add(theta, -learningRate * scale, direction, theta);
        } else {
            adam.step(theta, direction, scale, learningRate);
        }
        return new MetaMetrics(
                step + 1,
                config.metaSteps(),
                supportLoss,
                queryLoss,
                learningRate,
                norm,
                innerSeconds / count / config.inner().steps(),
                (System.nanoTime() - start) / 1e9);
    }

    private TaskLosses task(int step, long number) {
        int index = config.episodes().taskAt(number, tasks.size());
        Episodes.Episode episode =
                config.episodes().episode(tasks.get(index), index, Math.toIntExact(number / tasks.size()));
        TaskLosses losses =
                metaGradient.addTo(direction, theta, objectives.of(episode.support()), objectives.of(episode.query()));
        requireFinite(step, episode.task() + "'s loss after the inner steps", losses.queryLoss());
        return losses;
    }

    private static void requireFinite(int step, String what, double value) {
        if (!Double.isFinite(value)) {
            throw new InputException(
                    "meta-step " + (step + 1) + ": " + what + " is " + value
                            + ", meta-training stops; lower --inner-lr or --outer-lr, or clip inner gradients with --inner-clip");
        }
    }
}
