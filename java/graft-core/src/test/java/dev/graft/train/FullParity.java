package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.io.Json;
import dev.graft.model.FullModel;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Trainable;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Full fine-tuning equals PyTorch's in float32: losses, gradient norms, every trained weight. One body for all engines; an engine
 * module extends it.
 */
public abstract class FullParity {
    private static final Path ROOT = Path.of("../graft-core/src/test/resources/full-parity");
    private static final Percentage LOSS = Percentage.withPercentage(0.002);
    private static final Percentage NORM = Percentage.withPercentage(0.02);

    @TempDir
    Path out;

    protected abstract Engine openEngine();

    private static TrainConfig config(ParityCase parity, JsonNode expected) {
        return parity.config().withLearningRate(expected.path("lr").asDouble());
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama_tied_alllinear", "llama_bias", "qwen2_window", "qwen3", "lora_accum"})
    void trainsEveryWeightLikePyTorch(String name) {
        ParityCase parity = ParityCase.named(name);
        JsonNode expected = Json.read(ROOT.resolve(name + ".json"));
        try (Engine engine = openEngine();
                FullModel model = FullModel.load(parity.model(), engine, Precision.F32)) {
            List<StepMetrics> steps = new ArrayList<>();
            try (Trainer trainer = new Trainer(model, parity.data(), null, config(parity, expected))) {
                trainer.train(steps::add);
            }
            JsonNode wanted = expected.path("steps");
            assertThat(steps).hasSize(wanted.size());
            for (int i = 0; i < steps.size(); i++) {
                JsonNode step = wanted.get(i);
                assertThat(steps.get(i).loss())
                        .as("loss of step " + (i + 1))
                        .isCloseTo(step.path("loss").asDouble(), LOSS);
                assertThat(steps.get(i).gradNorm())
                        .as("gradient norm of step " + (i + 1))
                        .isCloseTo(step.path("grad_norm").asDouble(), NORM);
            }
            assertThat(loss(model, parity))
                    .isCloseTo(expected.path("final_eval_loss").asDouble(), LOSS);
            checkWeights(engine, model, expected.path("weights_sum_and_square_sum"));

            model.save(out);
            try (PretrainedModel saved = PretrainedModel.load(out, engine, Precision.F32)) {
                assertThat(Evaluator.evaluate(
                                        saved, parity.data(), parity.config().batchSize())
                                .loss())
                        .as("saved and read again")
                        .isCloseTo(expected.path("final_eval_loss").asDouble(), Percentage.withPercentage(0.01));
            }
        }
    }

    private static double loss(Trainable model, ParityCase parity) {
        return Evaluator.evaluate(model, parity.data(), parity.config().batchSize())
                .loss();
    }

    private static void checkWeights(Engine engine, Trainable model, JsonNode expected) {
        assertThat(model.parameters().slots()).hasSize(expected.size());
        for (FlatParameters.Slot slot : model.parameters().slots()) {
            double sum = 0;
            double squares = 0;
            for (float value : engine.download(model.parameters().value(slot))) {
                sum += value;
                squares += (double) value * value;
            }
            JsonNode wanted = expected.path(slot.name());
            double scale = Math.sqrt(slot.size() * squares);
            assertThat(sum).as(slot.name()).isCloseTo(wanted.get(0).asDouble(), within(1e-5 * scale));
            assertThat(squares).as(slot.name()).isCloseTo(wanted.get(1).asDouble(), within(2e-5 * squares));
        }
    }

    @Test
    void aSavedModelKeepsTheDtypesAndTheOtherFilesOfItsBase() {
        ParityCase parity = ParityCase.named("llama_sharded_bf16");
        try (Engine engine = openEngine();
                FullModel model = FullModel.load(parity.model(), engine, Precision.BF16)) {
            model.save(out);
        }
        try (Checkpoint before = Checkpoint.open(parity.model());
                Checkpoint after = Checkpoint.open(out)) {
            assertThat(after.names()).isEqualTo(before.names());
            for (String name : before.names()) {
                assertThat(after.info(name).dtype()).isEqualTo(DType.BF16);
                assertThat(after.data(name).mismatch(before.data(name)))
                        .as(name + ", untrained")
                        .isEqualTo(-1);
            }
        }
        assertThat(out.resolve(Checkpoint.INDEX_FILE)).doesNotExist();
        assertThat(out.resolve("config.json"))
                .hasSameBinaryContentAs(parity.model().resolve("config.json"));
        assertThat(Files.exists(parity.model().resolve(Checkpoint.INDEX_FILE))).isTrue();
    }
}
