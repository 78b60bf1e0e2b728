package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.AdamW;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.Workspace;
import dev.graft.io.AtomicFiles;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderPass;
import dev.graft.model.TokenBatch;
import dev.graft.model.Trainable;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A training run: for each step, forward and backward over its micro-batches, then one AdamW update.
 *
 * <p>The loss is the mean over all target tokens of the step, across its micro-batches, so that accumulating gradients equals the
 * whole batch. All memory is allocated when the trainer is made; steps allocate none.
 */
public final class Trainer implements AutoCloseable {
    /**
     * How a run ended.
     *
     * @param steps done in all
     * @param lastLoss of the last step
     * @param completed false where {@link #requestStop} ended it early, after a checkpoint
     */
    public record Result(int steps, double lastLoss, boolean completed) {}

    private final Trainable model;
    private final List<Example> data;
    private final TrainConfig config;
    private final BatchOrder order;
    private final Workspace workspace;
    private final DecoderPass pass;
    private final Optimizer optimizer;
    private final @Nullable Evaluator evaluator;
    private final long dataFingerprint;
    private @Nullable Path out;
    private TrainerState state = new TrainerState(0, 0);
    private volatile boolean stopRequested;

    /**
     * Sets a run up.
     *
     * @param data rows to train on; at least one
     * @param evalData rows to evaluate on every {@link TrainConfig#evalEvery} steps, or null
     */
    public Trainer(Trainable model, List<Example> data, @Nullable List<Example> evalData, TrainConfig config) {
        if (data.isEmpty()) {
            throw new InputException("there is no row to train on");
        }
        this.model = model;
        this.data = data;
        this.config = config;
        this.order = new BatchOrder(data.size(), config);
        this.dataFingerprint = TrainerState.fingerprint(data);
        this.workspace = new Workspace(model.engine());
        try {
            TrainingSize size = TrainingSize.of(data, evalData, config.batchSize());
            this.optimizer = new Optimizer(model.parameters(), workspace, config.loraPlusRatio());
            this.pass = new DecoderPass(
                    model.engine(),
                    model.decoder(),
                    DecoderBuffers.of(
                            workspace,
                            model,
                            size.maxRows(),
                            size.maxPositions(),
                            DecoderBuffers.Use.training(config.gradientCheckpointing())));
            this.evaluator = evalData == null ? null : new Evaluator(model, evalData, config.batchSize(), pass);
            model.engine().zero(model.parameters().gradients());
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    /** Steps of the whole run. */
    public int totalSteps() {
        return order.totalSteps();
    }

    /**
     * Where checkpoints and {@code metrics.jsonl} go; without it nothing is written.
     *
     * @param resume continue from the newest checkpoint under {@code folder}, where there is one
     * @return this
     */
    public Trainer output(Path folder, boolean resume) {
        AtomicFiles.createDirectories(folder);
        this.out = folder;
        if (resume) {
            TrainerState.newest(folder)
                    .ifPresent(checkpoint ->
                            state = TrainerState.read(checkpoint, model, optimizer, config, dataFingerprint));
        }
        return this;
    }

    /** The newest whole checkpoint under an output folder, from which {@link #output} would resume. */
    public static Optional<Path> newestCheckpoint(Path folder) {
        return TrainerState.newest(folder);
    }

    /** Steps done before {@link #train} begins: more than 0 in a resumed run. */
    public int stepsDone() {
        return state.step();
    }

    /** Asks a running {@link #train} to end after the current step, with a checkpoint. From any thread. */
    public void requestStop() {
        stopRequested = true;
    }

    /** As {@link #train(TrainListener)}, for who only wants to know of steps. */
    public Result train(Consumer<? super StepMetrics> onStep) {
        return train(new TrainListener() {
            @Override
            public void onStep(StepMetrics metrics) {
                onStep.accept(metrics);
            }
        });
    }

    /**
     * Trains to the end.
     *
     * @throws InputException where the loss or the gradients are no longer finite; weights and checkpoints are those of the last
     *     good step
     * @throws EngineFailure where the hardware failed: checkpoints are those of the last good step, weights are lost
     */
    public Result train(TrainListener listener) {
        try (MetricsFile metrics = out == null ? null : new MetricsFile(out, state.step())) {
            long start = System.nanoTime();
            double elapsedBefore = state.elapsedSeconds();
            double loss = Double.NaN;
            while (state.step() < totalSteps()) {
                int next = state.step() + 1;
                boolean stopping;
                try {
                    loss = trainStep(start, elapsedBefore, metrics, listener);
                    stopping = stopRequested && next < totalSteps();
                    if (stopping || (config.saveEvery() > 0 && next % config.saveEvery() == 0)) {
                        checkpoint(listener);
                    }
                } catch (EngineFailure failure) {
                    // kernels fail long after they were launched, but a step waits for its own before it ends
                    throw failure.at("step " + next, lastGoodCheckpoint());
                }
                if (stopping) {
                    return new Result(next, loss, false);
                }
            }
            return new Result(state.step(), loss, true);
        }
    }

    /** One step, with the evaluation that is due after it; returns its loss. */
    private double trainStep(long start, double elapsedBefore, @Nullable MetricsFile metrics, TrainListener listener) {
        StepMetrics done = step(state.step(), start, elapsedBefore);
        state = new TrainerState(done.step(), done.elapsedSeconds());
        listener.onStep(done);
        if (metrics != null) {
            metrics.step(done);
        }
        evaluateIfDue(done.step(), metrics, listener);
        return done.loss();
    }

    private String lastGoodCheckpoint() {
        return out == null
                ? ""
                : TrainerState.newest(out)
                        .map(folder -> "; the last good checkpoint is " + folder)
                        .orElse("");
    }

    private StepMetrics step(int step, long start, double elapsedBefore) {
        long stepStart = System.nanoTime();
        List<int[]> microBatches = order.microBatches(step);
        int targets = 0;
        long tokens = 0;
        for (int[] rows : microBatches) {
            targets += Batches.countTargets(data, rows);
            tokens += Batches.countTokens(data, rows);
        }
        if (targets == 0) {
            throw new InputException("step " + (step + 1) + ": none of its "
                    + microBatches.stream().mapToInt(rows -> rows.length).sum()
                    + " rows has a token to learn; drop rows whose labels are all " + TokenBatch.IGNORED);
        }
        double lossSum = 0;
        for (int i = 0; i < microBatches.size(); i++) {
            TokenBatch batch = Batches.pack(data, microBatches.get(i));
            int microStep = step * config.gradAccum() + i;
            lossSum += pass.lossAndGradients(
                    batch, model.pass(pass.buffers(), batch.rows(), true, config.seed(), microStep), 1f / targets);
        }
        double loss = lossSum / targets;
        requireFinite(step, "loss", loss);
        AdamW update = config.adamW(step, totalSteps());
        double norm = optimizer.step(model.engine(), update);
        requireFinite(step, "gradient norm", norm);
        long end = System.nanoTime();
        return new StepMetrics(
                step + 1,
                totalSteps(),
                loss,
                update.learningRate(),
                norm,
                tokens,
                tokens / ((end - stepStart) / 1e9),
                elapsedBefore + (end - start) / 1e9);
    }

    private void requireFinite(int step, String what, double value) {
        if (Double.isFinite(value)) {
            return;
        }
        throw new InputException("step " + (step + 1) + ": the " + what + " is " + value
                + ", training stops; lower --lr, add --warmup-steps or look for bad rows in the data"
                + lastGoodCheckpoint());
    }

    private void evaluateIfDue(int step, @Nullable MetricsFile metrics, TrainListener listener) {
        boolean due = config.evalEvery() > 0 && (step % config.evalEvery() == 0 || step == totalSteps());
        if (evaluator == null || !due) {
            return;
        }
        EvalMetrics result = evaluator.evaluate();
        listener.onEvaluation(step, result);
        if (metrics != null) {
            metrics.evaluation(step, result);
        }
    }

    private void checkpoint(TrainListener listener) {
        if (out != null) {
            listener.onCheckpoint(state.step(), state.write(out, model, optimizer, config, dataFingerprint));
        }
    }

    @Override
    public void close() {
        workspace.close();
    }
}
