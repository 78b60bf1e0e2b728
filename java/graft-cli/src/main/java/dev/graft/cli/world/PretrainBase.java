package dev.graft.cli.world;

import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.engine.Precision;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FullModel;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.Rope;
import dev.graft.nn.RopeScaling;
import dev.graft.tensor.DType;
import dev.graft.train.EvalMetrics;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.TrainListener;
import dev.graft.train.Trainer;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Pre-trains the embedded base model, all of its weights, on {@link Corpus}: what {@code scripts/pretrain-base} runs. Writes a
 * Hugging Face model folder.
 */
public final class PretrainBase {
    private static final long CORPUS_SEED = 7;
    private static final long EVAL_SEED = 8;
    private static final int MAX_LENGTH = 256;
    private static final int EVAL_ROWS = 256;
    private static final int HIDDEN = 192;
    private static final int INTERMEDIATE = 512;
    private static final int LAYERS = 6;
    private static final int HEADS = 6;
    private static final int HEAD_DIM = 32;
    private static final float EMBEDDING_STD = 0.06f;
    private static final float COPY_STRENGTH = 0.5f;

    private PretrainBase() {}

    /** Arguments: output folder, steps, rows of a batch, peak learning rate. */
    public static void main(String[] args) {
        Path out = Path.of(args[0]);
        int steps = Integer.parseInt(args[1]);
        int batchSize = Integer.parseInt(args[2]);
        double learningRate = Double.parseDouble(args[3]);
        WorldTokenizer.write(WorldTokenizer.train(CORPUS_SEED), out);
        try (Tokenizer tokenizer = Tokenizer.load(out);
                Engine engine = Engines.open(Engines.AUTO);
                FullModel model = FullModel.random(config(tokenizer), engine, Precision.F32, DType.BF16, 1)) {
            initialise(model);
            List<Example> data = rows(tokenizer, CORPUS_SEED, steps * batchSize);
            List<Example> heldOut = rows(tokenizer, EVAL_SEED, Corpus.PRIMER_DOCUMENTS + EVAL_ROWS)
                    .subList(Corpus.PRIMER_DOCUMENTS, Corpus.PRIMER_DOCUMENTS + EVAL_ROWS);
            TrainConfig config = TrainConfig.builder()
                    .steps(steps)
                    .batchSize(batchSize)
                    .learningRate(learningRate)
                    .warmupSteps(Math.min(100, steps / 10))
                    .schedule(LearningRateSchedule.COSINE)
                    .weightDecay(0.01)
                    .beta2(0.98)
                    .shuffle(false)
                    .evalEvery(250)
                    .saveEvery(500)
                    .build();
            try (Trainer trainer = new Trainer(model, data, heldOut, config)) {
                trainer.output(out.resolve("run"), true).train(new Progress());
            }
            model.save(out);
        }
    }

    private static DecoderConfig config(Tokenizer tokenizer) {
        return new DecoderConfig(
                Architecture.LLAMA,
                WorldTokenizer.VOCABULARY_SIZE,
                HIDDEN,
                INTERMEDIATE,
                LAYERS,
                HEADS,
                HEADS,
                HEAD_DIM,
                1e-5f,
                new Rope(10000, HEAD_DIM, new RopeScaling.None()),
                2 * MAX_LENGTH,
                true,
                false,
                false,
                false,
                false,
                Collections.nCopies(LAYERS, 0),
                List.of(tokenizer.eosIds()[0]));
    }

    /**
     * Initial weights for a model this small and a learning rate this high: N(0, 1/in) instead of N(0, 0.02²), which a few steps of
     * AdamW would drown. Every layer starts with {@code W_o = c W_vᵀ}, so that attention passes on what it looks at from the first
     * step, and only has to learn where to look (Trockman and Kolter, "Mimetic initialization of self-attention layers", 2023).
     */
    private static void initialise(FullModel model) {
        Map<String, float[]> weights = new HashMap<>();
        int stream = 0;
        for (FlatParameters.Slot slot : model.parameters().slots()) {
            boolean isMatrix = slot.rows() > 1;
            boolean isEmbedding = slot.rows() == WorldTokenizer.VOCABULARY_SIZE;
            if (isMatrix) {
                float std = isEmbedding ? EMBEDDING_STD : (float) (1 / Math.sqrt(slot.cols()));
                weights.put(
                        slot.name(),
                        RandomFill.normal(CORPUS_SEED, RandomPurpose.INITIALISE_WEIGHTS, stream++, slot.size(), std));
            }
        }
        for (int layer = 0; layer < LAYERS; layer++) {
            String name = "model.layers." + layer;
            float[] value = weights.get(name + ".self_attn.v_proj.weight");
            weights.put(name + ".self_attn.o_proj.weight", scaledTranspose(value, HEADS * HEAD_DIM, HIDDEN));
            float[] down = weights.get(name + ".mlp.down_proj.weight");
            for (int i = 0; i < down.length; i++) {
                down[i] /= (float) Math.sqrt(2.0 * LAYERS);
            }
        }
        for (FlatParameters.Slot slot : model.parameters().slots()) {
            if (weights.containsKey(slot.name())) {
                model.engine()
                        .upload(weights.get(slot.name()), model.parameters().value(slot));
            }
        }
        model.parameters().refresh(model.engine());
    }

    private static float[] scaledTranspose(float[] matrix, int rows, int cols) {
        float[] transposed = new float[matrix.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                transposed[j * rows + i] = COPY_STRENGTH * matrix[i * cols + j];
            }
        }
        return transposed;
    }

    /**
     * A row for each document, ended by the end token. Documents do not see each other: where all that a model can look at is
     * the passage that a note is about, it soon learns to copy from it.
     */
    private static List<Example> rows(Tokenizer tokenizer, long seed, int count) {
        return Corpus.stream(seed)
                .map(document -> tokenizer.encode(document + WorldTokenizer.END_OF_TEXT, false))
                .filter(ids -> ids.length <= MAX_LENGTH)
                .limit(count)
                .map(ids -> new Example(ids, ids))
                .toList();
    }

    private static final class Progress implements TrainListener {
        @Override
        public void onStep(StepMetrics metrics) {
            if (metrics.step() % 50 == 0) {
                System.err.printf(
                        Locale.ROOT,
                        "step %d/%d  loss %.4f  %.0f tokens/s  %.0f s%n",
                        metrics.step(),
                        metrics.totalSteps(),
                        metrics.loss(),
                        metrics.tokensPerSecond(),
                        metrics.elapsedSeconds());
            }
        }

        @Override
        public void onEvaluation(int step, EvalMetrics metrics) {
            System.err.printf(Locale.ROOT, "step %d  held-out loss %.4f%n", step, metrics.loss());
        }
    }
}
