package dev.graft.cuda;

import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Generator;
import dev.graft.model.LoraModel;
import dev.graft.model.ModelMerger;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Sampling;
import dev.graft.testing.TinyModels;
import dev.graft.train.Evaluator;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.Trainer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A whole fine-tuning of a tiny model: what came out of it.
 *
 * @param losses of each step
 * @param norms of each step's gradients
 * @param values A and B of all modules
 * @param evalLoss of rows that were not trained on
 * @param greedy tokens of a continuation
 */
record TinyRun(List<Double> losses, List<Double> norms, float[] values, double evalLoss, List<Integer> greedy) {
    static final List<Example> DATA = TinyModels.rows(10, 14, 8);

    private static final List<Example> UNSEEN = TinyModels.rows(5, 18, 9);
    private static final int[] PROMPT = {3, 1, 4, 1, 5, 9, 2, 6};
    private static final int NEW_TOKENS = 10;

    /**
     * Trains an adapter on {@code model}, evaluates it and generates with it.
     *
     * @param merged where to write the merged model; null for nowhere
     */
    static TinyRun of(
            Engine engine,
            Path model,
            Precision precision,
            LoraConfig lora,
            TrainConfig training,
            @Nullable Path merged) {
        try (PretrainedModel base = PretrainedModel.load(model, engine, precision)) {
            long frozen = base.residentFingerprint();
            LoraModel adapted = base.attach(lora, 1);
            List<StepMetrics> steps = new ArrayList<>();
            try (Trainer trainer = new Trainer(adapted, DATA, null, training)) {
                trainer.train(steps::add);
            }
            if (base.residentFingerprint() != frozen) {
                throw new AssertionError("training changed frozen weights");
            }
            if (merged != null) {
                ModelMerger.merge(adapted, merged);
            }
            return new TinyRun(
                    steps.stream().map(StepMetrics::loss).toList(),
                    steps.stream().map(StepMetrics::gradNorm).toList(),
                    engine.download(adapted.parameters().values()),
                    evaluate(adapted),
                    generate(adapted));
        }
    }

    private static double evaluate(LoraModel model) {
        return Evaluator.evaluate(model, UNSEEN, 2).loss();
    }

    private static List<Integer> generate(LoraModel model) {
        List<Integer> tokens = new ArrayList<>();
        try (Generator generator = new Generator(model, PROMPT.length + NEW_TOKENS)) {
            generator.generate(PROMPT, NEW_TOKENS, Sampling.GREEDY, Set.of(), tokens::add);
        }
        return tokens;
    }
}
