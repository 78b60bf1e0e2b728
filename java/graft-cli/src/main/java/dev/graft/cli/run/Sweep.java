package dev.graft.cli.run;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.train.Evaluator;
import dev.graft.train.JointTrainer;
import dev.graft.train.StepMetrics;
import dev.graft.train.Trainer;
import dev.graft.train.TrainingPlan;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;

/** Trains every point of a grid over one frozen base, as many at once as there is memory for, and evaluates each. */
public final class Sweep {
    /**
     * What became of a point.
     *
     * @param loss of the last training step
     * @param evalLoss on held-out rows; not finite where the run diverged
     */
    public record Result(SweepPoint point, LoraModel model, long trainable, double loss, double evalLoss) {}

    private final PretrainedModel base;
    private final List<Example> data;
    private final List<Example> evalData;
    private double seconds;

    public Sweep(PretrainedModel base, List<Example> data, List<Example> evalData) {
        this.base = base;
        this.data = data;
        this.evalData = evalData;
    }

    /** Seconds of training so far, evaluation not counted. */
    public double seconds() {
        return seconds;
    }

    /**
     * Runs all points.
     *
     * @param onStep is given each step of each group
     * @return by held-out loss, the best first
     */
    public List<Result> run(List<SweepPoint> points, int atOnce, Consumer<StepMetrics> onStep) {
        List<Result> results = new ArrayList<>();
        for (int from = 0; from < points.size(); from += atOnce) {
            results.addAll(train(points.subList(from, Math.min(points.size(), from + atOnce)), onStep));
        }
        results.sort(Comparator.comparingDouble(Result::evalLoss)); // NaN comes last
        return results;
    }

    private List<Result> train(List<SweepPoint> points, Consumer<StepMetrics> onStep) {
        List<JointTrainer.Member> members = new ArrayList<>();
        for (SweepPoint point : points) {
            LoraModel model = base.attach(point.lora(), point.train().seed());
            members.add(new JointTrainer.Member(model, point.train()));
        }
        List<StepMetrics> last = new ArrayList<>();
        long start = System.nanoTime();
        try (JointTrainer trainer = new JointTrainer(members, data)) {
            trainer.train(metrics -> {
                last.clear();
                last.addAll(metrics);
                onStep.accept(metrics.getFirst());
            });
        }
        seconds += (System.nanoTime() - start) / 1e9;
        List<Result> results = new ArrayList<>();
        for (int i = 0; i < points.size(); i++) {
            LoraModel model = members.get(i).model();
            results.add(new Result(
                    points.get(i),
                    model,
                    model.adapter().parameterCount(),
                    last.get(i).loss(),
                    evaluate(model, points.get(i))));
        }
        return results;
    }

    private double evaluate(LoraModel model, SweepPoint point) {
        return Evaluator.evaluate(model, evalData, point.train().batchSize()).loss();
    }

    /** Trains every point by itself, to compare; points that diverge are left out of the comparison of losses. */
    public Alone runAlone(List<Result> joint) {
        double largest = 0;
        long start = System.nanoTime();
        for (Result result : joint) {
            LoraModel model =
                    base.attach(result.point.lora(), result.point.train().seed());
            double loss;
            try (Trainer trainer = new Trainer(model, data, null, result.point.train())) {
                loss = trainer.train(step -> {}).lastLoss();
            } catch (InputException diverged) {
                continue;
            }
            largest = Math.max(largest, Math.abs(loss - result.loss) / Math.abs(loss));
        }
        return new Alone((System.nanoTime() - start) / 1e9, largest);
    }

    /**
     * The same adapters trained one after another.
     *
     * @param largestDifference of the last losses, relative
     */
    public record Alone(double seconds, double largestDifference) {}

    /**
     * How many adapters can be trained at once.
     *
     * @param most asked for
     * @throws InputException where not even one can
     */
    public static int fitting(MemoryOf memory, Engine engine, int most) {
        for (int adapters = most; adapters > 1; adapters--) {
            if (memory.plan(adapters).allocatedBytes() <= engine.availableBytes()) {
                return adapters;
            }
        }
        memory.plan(1).requireFits(engine, "use a smaller --batch-size or --seq-len");
        return 1;
    }

    /** The memory of training so many adapters of the largest rank at once. */
    @FunctionalInterface
    public interface MemoryOf {
        TrainingPlan plan(int adapters);
    }
}
