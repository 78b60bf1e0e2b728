package dev.graft.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FullModel;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Trainable;
import dev.graft.nn.Rope;
import dev.graft.nn.RopeScaling;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import dev.graft.train.Evaluator;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.TrainListener;
import dev.graft.train.Trainer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Whole runs on the CPU engine. */
class CpuTrainingTest {
    private static final LoraConfig LORA =
            LoraConfig.builder().rank(4).alpha(8).dropout(0.1).build();

    @TempDir
    Path folder;

    private record Run(List<Double> losses, float[] values) {}

    private static Engine open(int threads) {
        return new CpuEngine(new WorkerPool(threads));
    }

    private static Run train(Trainable model, List<Example> data, TrainConfig config) {
        List<Double> losses = new ArrayList<>();
        try (Trainer trainer = new Trainer(model, data, null, config)) {
            trainer.train(new TrainListener() {
                @Override
                public void onStep(StepMetrics metrics) {
                    losses.add(metrics.loss());
                }
            });
        }
        return new Run(losses, model.engine().download(model.parameters().values()));
    }

    private Run adapt(int threads, Precision precision, int steps) {
        TrainConfig config = TrainConfig.builder()
                .batchSize(3)
                .steps(steps)
                .learningRate(3e-3)
                .build();
        try (Engine engine = open(threads)) {
            TinyModels.write(folder, TinyModels.config(Architecture.QWEN3), engine, DType.BF16, 6);
            try (PretrainedModel base = PretrainedModel.load(folder, engine, precision)) {
                LoraModel model = base.attach(LORA, 1);
                return train(model, TinyModels.rows(12, 24, 3), config);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void theSameSeedGivesTheSameBitsOnAnyNumberOfThreads(Precision precision) {
        Run first = adapt(1, precision, 6);
        for (int threads = 1; threads <= 3; threads++) {
            Run again = adapt(threads, precision, 6);
            assertThat(again.losses()).as(threads + " threads").isEqualTo(first.losses());
            assertThat(again.values()).as(threads + " threads").isEqualTo(first.values());
        }
    }

    @Test
    void bf16FollowsFloat32() {
        List<Double> exact = adapt(2, Precision.F32, 30).losses();
        List<Double> rounded = adapt(2, Precision.BF16, 30).losses();
        assertThat(exact.getLast()).as("it learns").isLessThan(0.9 * exact.getFirst());
        for (int i = 0; i < exact.size(); i++) {
            assertThat(rounded.get(i)).as("step " + (i + 1)).isCloseTo(exact.get(i), within(0.02 * exact.get(i)));
        }
    }

    @ParameterizedTest
    @EnumSource
    void wholeModelsLearnInBothPrecisions(Precision precision) {
        DecoderConfig config = TinyModels.config(Architecture.LLAMA, true, List.of(0, 0));
        TrainConfig training =
                TrainConfig.builder().batchSize(4).steps(40).learningRate(1e-2).build();
        try (Engine engine = open(2);
                FullModel model = FullModel.random(config, engine, precision, DType.F32, 2)) {
            List<Double> losses =
                    train(model, TinyModels.rows(8, 12, 3), training).losses();
            assertThat(losses.getFirst()).isCloseTo(Math.log(TinyModels.VOCABULARY), within(0.1));
            assertThat(losses.getLast()).isLessThan(0.6 * losses.getFirst());
        }
    }

    /** Logits of 600,000 words are computed 27 rows at a time, which neither 32 nor the number of targets is a multiple of. */
    @Test
    void hugeVocabulariesGoThroughTheHeadInUnevenChunks() {
        DecoderConfig config = new DecoderConfig(
                Architecture.LLAMA,
                600_000,
                8,
                8,
                1,
                2,
                2,
                4,
                1e-5f,
                new Rope(100, 4, new RopeScaling.None()),
                64,
                true,
                false,
                false,
                false,
                false,
                List.of(0),
                List.of());
        List<Example> rows = new ArrayList<>(TinyModels.rows(2, 16, 1));
        int[] ids = java.util.stream.IntStream.range(0, 31).map(i -> i * 19_000).toArray();
        rows.add(new Example(ids, ids));
        try (Engine engine = open(2);
                PretrainedModel model = PretrainedModel.random(config, engine, Precision.F32, 1)) {
            assertThat(evaluate(model, rows, 3)).isCloseTo(evaluate(model, rows, 1), within(1e-6));
        }
    }

    private static double evaluate(PretrainedModel model, List<Example> rows, int batchSize) {
        return Evaluator.evaluate(model, rows, batchSize).loss();
    }
}
