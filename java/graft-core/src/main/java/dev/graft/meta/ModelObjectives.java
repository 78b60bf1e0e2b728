package dev.graft.meta;

import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Workspace;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderPass;
import dev.graft.model.TokenBatch;
import dev.graft.model.Trainable;
import dev.graft.nn.FlatParameters;
import dev.graft.train.Batches;
import dev.graft.train.TrainingSize;
import java.util.ArrayList;
import java.util.List;

/**
 * A model as a function of the flat vector of all that is trained in it: each set of rows gives a loss, the mean over its target
 * tokens. The model's values are those of the vector that was evaluated last; {@link #set} gives it the ones to keep.
 *
 * <p>Buffers are allocated once, here; an evaluation only moves the vector and its gradient, which for an adapter are small.
 */
public final class ModelObjectives implements AutoCloseable {
    private final Trainable model;
    private final Engine engine;
    private final FlatParameters parameters;
    private final Workspace workspace;
    private final DecoderPass pass;
    private final int batchSize;

    /**
     * Over a model whose adapter drops nothing out, so that a loss is a function of the values alone.
     *
     * @param size of the largest batch of {@code batchSize} rows
     */
    public ModelObjectives(Trainable model, TrainingSize size, int batchSize) {
        if (model.adapters().stream().anyMatch(adapter -> adapter.config().dropout() > 0)) {
            throw new IllegalArgumentException("an objective with dropout is no function of the weights");
        }
        this.model = model;
        this.engine = model.engine();
        this.parameters = model.parameters();
        this.batchSize = batchSize;
        this.workspace = new Workspace(engine);
        try {
            this.pass = new DecoderPass(
                    engine,
                    model.decoder(),
                    DecoderBuffers.of(
                            workspace, model, size.maxRows(), size.maxPositions(), DecoderBuffers.Use.TRAINING));
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    /** Length of the vector: the parameters and the gaps between them, which stay zero. */
    public int size() {
        return parameters.values().cols();
    }

    /** The model's values. */
    public float[] values() {
        return engine.download(parameters.values());
    }

    /** Sets the model's values. */
    public void set(float[] theta) {
        engine.upload(theta, parameters.values());
        parameters.refresh(engine);
    }

    /** The mean loss over the target tokens of {@code rows}, which need at least one. */
    public Objective of(List<Example> rows) {
        List<TokenBatch> batches = new ArrayList<>();
        for (int from = 0; from < rows.size(); from += batchSize) {
            List<Example> part = rows.subList(from, Math.min(rows.size(), from + batchSize));
            batches.add(Batches.pack(part));
        }
        return new RowsObjective(batches);
    }

    @Override
    public void close() {
        workspace.close();
    }

    private final class RowsObjective implements Objective {
        private final List<TokenBatch> batches;
        private final int targets;

        RowsObjective(List<TokenBatch> batches) {
            this.batches = batches;
            this.targets =
                    batches.stream().mapToInt(batch -> batch.targets().length).sum();
            if (targets == 0) {
                throw new IllegalArgumentException("rows without a token to learn");
            }
        }

        @Override
        public double loss(float[] theta) {
            set(theta);
            double sum = 0;
            for (TokenBatch batch : batches) {
                sum += pass.loss(batch, model.pass(pass.buffers(), batch.rows(), false, 0, 0));
            }
            return sum / targets;
        }

        @Override
        public double lossAndGradient(float[] theta, float[] gradient) {
            set(theta);
            engine.zero(parameters.gradients());
            double sum = 0;
            for (TokenBatch batch : batches) {
                sum += pass.lossAndGradients(batch, model.pass(pass.buffers(), batch.rows(), true, 0, 0), 1f / targets);
            }
            Vectors.copy(engine.download(parameters.gradients()), gradient);
            return sum / targets;
        }
    }
}
