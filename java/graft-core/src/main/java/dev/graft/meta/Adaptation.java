package dev.graft.meta;

import dev.graft.common.InputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;

/**
 * How fast an initialisation adapts to tasks that it was not learned from: the query loss after 0, 1, 2 … inner steps, the mean
 * over tasks.
 */
public final class Adaptation {
    /**
     * Losses by the number of inner steps.
     *
     * @param losses after 0, 1, … steps; infinite where a task diverged
     */
    public record Curve(List<Double> losses) {
        public Curve {
            losses = List.copyOf(losses);
        }

        /** The loss after so many steps. */
        public double after(int steps) {
            return losses.get(steps);
        }

        /** The fewest steps after which the loss is at most {@code loss}; empty where the curve does not get there. */
        public OptionalInt stepsToReach(double loss) {
            for (int steps = 0; steps < losses.size(); steps++) {
                if (losses.get(steps) <= loss) {
                    return OptionalInt.of(steps);
                }
            }
            return OptionalInt.empty();
        }

        /** After each number of steps the smaller of two losses. */
        Curve least(Curve other) {
            List<Double> least = new ArrayList<>();
            for (int i = 0; i < losses.size(); i++) {
                least.add(Math.min(losses.get(i), other.losses.get(i)));
            }
            return new Curve(least);
        }
    }

    private record Task(Objective support, Objective query) {}

    private final List<Task> tasks = new ArrayList<>();
    private final int size;

    /** Over one split of each task; {@code objectives} must hold the largest batch of their rows. */
    public Adaptation(ModelObjectives objectives, List<Episodes.Episode> episodes) {
        if (episodes.isEmpty()) {
            throw new InputException("there is no task to adapt to");
        }
        for (Episodes.Episode episode : episodes) {
            tasks.add(new Task(objectives.of(episode.support()), objectives.of(episode.query())));
        }
        this.size = objectives.size();
    }

    /** The curve from {@code start}, of {@code steps} inner steps instead of the loop's own number. */
    public Curve curve(float[] start, InnerLoop loop, int steps) {
        double[] sums = new double[steps + 1];
        Learner learner = new Learner(loop, size);
        for (Task task : tasks) {
            learner.start(start);
            sums[0] += task.query().loss(learner.values());
            for (int k = 1; k <= steps; k++) {
                learner.step(task.support());
                sums[k] += task.query().loss(learner.values());
            }
        }
        return new Curve(Arrays.stream(sums)
                .map(sum -> sum / tasks.size())
                .map(mean -> Double.isFinite(mean) ? mean : Double.POSITIVE_INFINITY)
                .boxed()
                .toList());
    }

    /** As {@link #curve}, with the best of several inner loops after each number of steps: what a start can do at most. */
    public Curve best(float[] start, List<InnerLoop> loops, int steps) {
        return loops.stream()
                .map(loop -> curve(start, loop, steps))
                .reduce(Curve::least)
                .orElseThrow(() -> new IllegalArgumentException("no inner loop to choose from"));
    }
}
