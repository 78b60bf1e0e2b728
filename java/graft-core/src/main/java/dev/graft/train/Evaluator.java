package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Allocator;
import dev.graft.engine.Workspace;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderPass;
import dev.graft.model.LanguageModel;
import dev.graft.model.TokenBatch;
import java.util.List;

/** The loss of a model over a data set: the mean over all target tokens, whatever the batches. */
public final class Evaluator {
    private final LanguageModel model;
    private final List<Example> data;
    private final int batchSize;
    private final DecoderPass pass;

    /** Buffers of its own, sized for {@code data}. */
    public Evaluator(LanguageModel model, List<Example> data, int batchSize, Allocator allocator) {
        this(
                model,
                data,
                batchSize,
                new DecoderPass(
                        model.engine(),
                        model.decoder(),
                        DecoderBuffers.of(
                                allocator,
                                model,
                                Batches.mostTokens(data, batchSize),
                                Batches.longest(data),
                                DecoderBuffers.Use.EVALUATION)));
    }

    /** Evaluates {@code model} once, in buffers of its own that are freed again. */
    public static EvalMetrics evaluate(LanguageModel model, List<Example> data, int batchSize) {
        try (Workspace workspace = new Workspace(model.engine())) {
            return new Evaluator(model, data, batchSize, workspace).evaluate();
        }
    }

    /** Works in the buffers of {@code pass}, which must be large enough. */
    Evaluator(LanguageModel model, List<Example> data, int batchSize, DecoderPass pass) {
        this.model = model;
        this.data = data;
        this.batchSize = batchSize;
        this.pass = pass;
    }

    /**
     * Evaluates all rows.
     *
     * @throws InputException where no row has a token to predict
     */
    public EvalMetrics evaluate() {
        double sum = 0;
        long tokens = 0;
        for (int from = 0; from < data.size(); from += batchSize) {
            TokenBatch batch = Batches.pack(data.subList(from, Math.min(data.size(), from + batchSize)));
            sum += pass.loss(batch, model.pass(pass.buffers(), batch.rows(), false, 0, 0));
            tokens += batch.targets().length;
        }
        if (tokens == 0) {
            throw new InputException("the evaluation data has no token to predict; give rows with labels");
        }
        return new EvalMetrics(sum / tokens, tokens);
    }
}
