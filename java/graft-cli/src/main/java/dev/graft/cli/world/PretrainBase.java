package dev.graft.cli.world;

import dev.graft.data.Example;
import dev.graft.data.Tokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.engine.Precision;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FullModel;
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
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;

/**
 * Pre-trains the embedded base model, all of its weights, on {@link Corpus}: what {@code scripts/pretrain-base} runs. Writes a
 * Hugging Face model folder.
 */
public final class PretrainBase {
    private static final long CORPUS_SEED = 7;
    private static final long EVAL_SEED = 8;
    private static final int SEQUENCE_LENGTH = 256;
    private static final int EVAL_ROWS = 64;
    private static final int HIDDEN = 192;
    private static final int INTERMEDIATE = 512;
    private static final int LAYERS = 6;
    private static final int HEADS = 6;
    private static final int HEAD_DIM = 32;

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
            List<Example> data = rows(tokenizer, CORPUS_SEED, steps * batchSize);
            List<Example> heldOut = rows(tokenizer, EVAL_SEED, EVAL_ROWS);
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
                2 * SEQUENCE_LENGTH,
                true,
                false,
                false,
                false,
                false,
                Collections.nCopies(LAYERS, 0),
                List.of(tokenizer.eosIds()[0]));
    }

    /** Documents back to back, each ended by the end token, cut into rows of one length. */
    private static List<Example> rows(Tokenizer tokenizer, long seed, int count) {
        List<Example> rows = new ArrayList<>(count);
        int end = tokenizer.eosIds()[0];
        int[] row = new int[SEQUENCE_LENGTH];
        int filled = 0;
        Iterator<String> documents = Corpus.stream(seed).iterator();
        while (rows.size() < count) {
            int[] ids = tokenizer.encode(documents.next(), false);
            for (int i = 0; i <= ids.length && rows.size() < count; i++) {
                row[filled++] = i < ids.length ? ids[i] : end;
                if (filled == SEQUENCE_LENGTH) {
                    rows.add(new Example(row, row));
                    row = new int[SEQUENCE_LENGTH];
                    filled = 0;
                }
            }
        }
        return rows;
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
