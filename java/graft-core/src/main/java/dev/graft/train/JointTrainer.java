package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.AdamW;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.Workspace;
import dev.graft.lora.AdapterRange;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraPass;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderPass;
import dev.graft.model.LoraModel;
import dev.graft.model.LossPart;
import dev.graft.model.TokenBatch;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Trains several adapters over one frozen model at once. In each step the rows of all go through the frozen weights together, each
 * adapter at work on its own; losses, gradient norms, clipping and updates are each adapter's own. So every adapter ends where a
 * {@link Trainer} of its own would have taken it, but for the order in which float32 sums are formed (and for dropout, whose masks
 * follow a row's place in the batch), and products with W0 are fewer and larger.
 *
 * <p>An adapter whose loss is no longer finite is not updated any more and does not disturb the others.
 */
public final class JointTrainer implements AutoCloseable {
    /**
     * One of the adapters.
     *
     * @param model the adapter on the model that all share
     * @param config how it is trained; batch size, accumulation, epochs, steps and gradient
     *     checkpointing must be those of all others
     */
    public record Member(LoraModel model, TrainConfig config) {}

    private final List<Member> members;
    private final List<Example> data;
    private final Engine engine;
    private final Workspace workspace;
    private final DecoderPass pass;
    private final List<BatchOrder> orders = new ArrayList<>();
    private final List<Optimizer> optimizers = new ArrayList<>();

    /** Sets a run up; all memory is allocated here. */
    public JointTrainer(List<Member> members, List<Example> data) {
        requireAlike(members);
        if (data.isEmpty()) {
            throw new InputException("there is no row to train on");
        }
        this.members = List.copyOf(members);
        this.data = data;
        LoraModel first = members.getFirst().model();
        this.engine = first.engine();
        this.workspace = new Workspace(engine);
        try {
            for (Member member : members) {
                orders.add(new BatchOrder(data.size(), member.config()));
                optimizers.add(new Optimizer(
                        member.model().parameters(), workspace, member.config().loraPlusRatio()));
                engine.zero(member.model().parameters().gradients());
            }
            TrainingSize size =
                    TrainingSize.of(data, null, members.getFirst().config().batchSize());
            this.pass = new DecoderPass(
                    engine,
                    first.decoder(),
                    new DecoderBuffers(
                            workspace,
                            first.decoder().config(),
                            first.precision(),
                            members.stream()
                                    .map(member -> member.model().adapter())
                                    .toList(),
                            Math.multiplyExact(size.maxRows(), members.size()),
                            size.maxPositions(),
                            DecoderBuffers.Use.training(
                                    members.getFirst().config().gradientCheckpointing())));
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    private static void requireAlike(List<Member> members) {
        if (members.isEmpty()) {
            throw new IllegalArgumentException("no adapter to train");
        }
        boolean saves = members.stream()
                .anyMatch(member -> !member.model().adapter().savedWeights().isEmpty());
        if (saves && members.size() > 1) {
            throw new InputException(
                    "adapters with modules to save cannot be trained together: each has whole weights of"
                            + " its own for the same rows; train one at a time (--at-once 1)");
        }
        TrainConfig first = members.getFirst().config();
        for (Member member : members) {
            if (member.model().changesBase()) {
                throw new InputException(
                        "--init " + member.model().adapter().config().init()
                                + " changes the frozen weights, which adapters that are trained together share; use gaussian or"
                                + " kaiming, or train it alone");
            }
            TrainConfig config = member.config();
            boolean alike = config.batchSize() == first.batchSize()
                    && config.gradAccum() == first.gradAccum()
                    && config.steps() == first.steps()
                    && config.epochs() == first.epochs()
                    && config.gradientCheckpointing() == first.gradientCheckpointing();
            if (!alike || member.model().base() != members.getFirst().model().base()) {
                throw new IllegalArgumentException(
                        "adapters that are trained together share their base, batch size, accumulation and length of run");
            }
        }
    }

    /** Steps of the whole run. */
    public int totalSteps() {
        return orders.getFirst().totalSteps();
    }

    /**
     * Trains to the end.
     *
     * @param onStep is given each step's numbers, in the order of the members; tokens per second are those of all together
     */
    public void train(Consumer<? super List<StepMetrics>> onStep) {
        long start = System.nanoTime();
        for (int step = 0; step < totalSteps(); step++) {
            try {
                onStep.accept(step(step, start));
            } catch (EngineFailure failure) {
                throw failure.at("step " + (step + 1), "");
            }
        }
    }

    private List<StepMetrics> step(int step, long start) {
        long stepStart = System.nanoTime();
        List<List<int[]>> microBatches =
                orders.stream().map(order -> order.microBatches(step)).toList();
        int[] targets = new int[members.size()];
        long[] tokens = new long[members.size()];
        for (int member = 0; member < targets.length; member++) {
            for (int[] rows : microBatches.get(member)) {
                targets[member] += Batches.countTargets(data, rows);
                tokens[member] += Batches.countTokens(data, rows);
            }
            if (targets[member] == 0) {
                throw new InputException(
                        "step " + (step + 1) + ": none of its rows has a token to learn; drop rows whose"
                                + " labels are all " + TokenBatch.IGNORED);
            }
        }
        double[] lossSums = new double[targets.length];
        for (int i = 0; i < microBatches.getFirst().size(); i++) {
            int microStep = step * members.getFirst().config().gradAccum() + i;
            double[] losses = microBatch(microBatches, i, targets, microStep);
            for (int member = 0; member < losses.length; member++) {
                lossSums[member] += losses[member];
            }
        }
        return update(step, start, stepStart, lossSums, targets, tokens);
    }

    private double[] microBatch(List<List<int[]>> microBatches, int index, int[] targets, int microStep) {
        List<Example> rows = new ArrayList<>();
        List<AdapterRange> ranges = new ArrayList<>();
        List<LossPart> parts = new ArrayList<>();
        int row = 0;
        int target = 0;
        for (int member = 0; member < members.size(); member++) {
            int[] own = microBatches.get(member).get(index);
            for (int example : own) {
                rows.add(data.get(example));
            }
            LoraAdapter adapter = members.get(member).model().adapter();
            int length = Batches.countTokens(data, own);
            ranges.add(new AdapterRange(adapter, row, row + length));
            row += length;
            target += Batches.countTargets(data, own);
            parts.add(new LossPart(target, 1f / targets[member]));
        }
        long seed = members.getFirst().config().seed();
        LoraPass lora = new LoraPass(ranges, pass.buffers().lora(), true, seed, microStep);
        return pass.lossesAndGradients(Batches.pack(rows), lora, parts);
    }

    private List<StepMetrics> update(
            int step, long start, long stepStart, double[] lossSums, int[] targets, long[] tokens) {
        List<AdamW> updates = members.stream()
                .map(member -> member.config().adamW(step, totalSteps()))
                .toList();
        double[] norms = new double[members.size()];
        long allTokens = 0;
        for (int member = 0; member < norms.length; member++) {
            norms[member] = optimizers.get(member).step(engine, updates.get(member));
            allTokens += tokens[member];
        }
        long end = System.nanoTime();
        List<StepMetrics> metrics = new ArrayList<>(norms.length);
        for (int member = 0; member < norms.length; member++) {
            metrics.add(new StepMetrics(
                    step + 1,
                    totalSteps(),
                    lossSums[member] / targets[member],
                    updates.get(member).learningRate(),
                    norms[member],
                    tokens[member],
                    allTokens / ((end - stepStart) / 1e9),
                    (end - start) / 1e9));
        }
        return metrics;
    }

    @Override
    public void close() {
        workspace.close();
    }
}
