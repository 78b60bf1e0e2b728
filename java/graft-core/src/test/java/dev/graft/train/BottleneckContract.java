package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.bottleneck.BottleneckConfig.Placement;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.io.Json;
import dev.graft.io.SafetensorsFile;
import dev.graft.lora.LoraPass;
import dev.graft.model.Architecture;
import dev.graft.model.BottleneckModel;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderConfig;
import dev.graft.model.DecoderPass;
import dev.graft.model.Generator;
import dev.graft.model.LanguageModel;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Sampling;
import dev.graft.model.TokenBatch;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.testing.TinyModels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What must hold for bottleneck modules whatever the engine, and that they train as in PyTorch in float32: losses, gradients, every
 * trained number. An engine module extends it.
 */
public abstract class BottleneckContract {
    private static final Path ROOT = Path.of("../graft-core/src/test/resources/bottleneck-parity");
    private static final Percentage LOSS = Percentage.withPercentage(0.002);
    private static final Percentage NORM = Percentage.withPercentage(0.02);

    @TempDir
    Path folder;

    protected abstract Engine openEngine();

    /**
     * How far a loss may move, relatively, when modules that give zeros are inserted: not at all where products are summed in float32,
     * as a block's output then is what the residual is added to without a module, too.
     */
    protected double startTolerance(DecoderConfig config, Precision precision) {
        return 0;
    }

    // ---- parity

    private static JsonNode expected(String name) {
        return Json.read(ROOT.resolve(name).resolve("expected.json"));
    }

    private static BottleneckModel start(PretrainedModel base, String name) {
        return base.attach(BottleneckFile.read(ROOT.resolve(name).resolve("start")), true);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama_tied_alllinear", "qwen3", "lora_accum"})
    void trainsLikePyTorch(String name) {
        ParityCase parity = ParityCase.named(name);
        JsonNode expected = expected(name);
        try (Engine engine = openEngine();
                PretrainedModel base = PretrainedModel.load(parity.model(), engine, Precision.F32)) {
            BottleneckModel model = start(base, name);
            assertThat(model.adapter().config().size())
                    .isEqualTo(expected.path("bottleneck").asInt());
            assertThat(model.adapter().config().placement().typed())
                    .isEqualTo(expected.path("placement").asText());
            assertThat(model.parameters().count())
                    .isEqualTo(model.adapter()
                            .config()
                            .parameterCount(
                                    base.config().hiddenSize(), base.config().layers()))
                    .isEqualTo(expected.path("trainable_parameters").asLong());
            assertThat(loss(model, parity))
                    .isCloseTo(expected.path("start_eval_loss").asDouble(), LOSS);

            List<StepMetrics> steps = new ArrayList<>();
            try (Trainer trainer = new Trainer(model, parity.data(), null, parity.config())) {
                trainer.train(steps::add);
            }
            checkSteps(steps, expected.path("steps"));
            checkWeights(engine, model, expected.path("weights_sum_and_square_sum"));
            double finalLoss = loss(model, parity);
            assertThat(finalLoss).isCloseTo(expected.path("final_eval_loss").asDouble(), LOSS);
            assertThat(greedy(model, expected.path("greedy").path("prompt_ids")))
                    .containsExactly(ParityCase.ints(expected.path("greedy").path("new_tokens")));

            model.save(folder.resolve("saved"));
            BottleneckFile saved = BottleneckFile.read(folder.resolve("saved"));
            assertThat(saved.base().fingerprint()).isEqualTo(base.fingerprint());
            assertThat(loss(base.attach(saved, false), parity)).isEqualTo(finalLoss);
        }
    }

    private static void checkSteps(List<StepMetrics> steps, JsonNode expected) {
        assertThat(steps).hasSize(expected.size());
        for (int i = 0; i < steps.size(); i++) {
            assertThat(steps.get(i).loss())
                    .as("loss of step " + (i + 1))
                    .isCloseTo(expected.get(i).path("loss").asDouble(), LOSS);
            assertThat(steps.get(i).gradNorm())
                    .as("gradient norm of step " + (i + 1))
                    .isCloseTo(expected.get(i).path("grad_norm").asDouble(), NORM);
        }
    }

    private static void checkWeights(Engine engine, BottleneckModel model, JsonNode expected) {
        assertThat(model.parameters().slots()).hasSize(expected.size());
        for (FlatParameters.Slot slot : model.parameters().slots()) {
            double sum = 0;
            double squares = 0;
            for (float value : engine.download(model.parameters().value(slot))) {
                sum += value;
                squares += (double) value * value;
            }
            JsonNode wanted = expected.path(named(slot, "task"));
            double scale = Math.sqrt(slot.size() * squares);
            assertThat(sum).as(slot.name()).isCloseTo(wanted.get(0).asDouble(), within(2e-5 * scale));
            assertThat(squares).as(slot.name()).isCloseTo(wanted.get(1).asDouble(), within(2e-5 * squares));
        }
    }

    /** A parameter's name in a file of an adapter called {@code adapter}. */
    private static String named(FlatParameters.Slot slot, String adapter) {
        return slot.name().replace("_adapters.", "_adapters.adapters." + adapter + ".");
    }

    private static double loss(LanguageModel model, ParityCase parity) {
        return Evaluator.evaluate(model, parity.data(), parity.config().batchSize())
                .loss();
    }

    private static int[] greedy(LanguageModel model, JsonNode prompt) {
        int[] ids = ParityCase.ints(prompt);
        List<Integer> tokens = new ArrayList<>();
        try (Generator generator = new Generator(model, ids.length + 8)) {
            generator.generate(ids, 8, Sampling.GREEDY, Set.of(), tokens::add);
        }
        return tokens.stream().mapToInt(Integer::intValue).toArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama_tied_alllinear", "qwen3", "lora_accum"})
    void gradientsOfTheFirstStep(String name) {
        ParityCase parity = ParityCase.named(name);
        try (Engine engine = openEngine();
                PretrainedModel base = PretrainedModel.load(parity.model(), engine, Precision.F32);
                Workspace workspace = new Workspace(engine);
                SafetensorsFile wanted =
                        SafetensorsFile.open(ROOT.resolve(name).resolve("gradients_step1.safetensors"))) {
            BottleneckModel model = start(base, name);
            List<int[]> window = new BatchOrder(parity.data().size(), parity.config()).microBatches(0);
            int targets = window.stream()
                    .mapToInt(rows -> Batches.countTargets(parity.data(), rows))
                    .sum();
            DecoderPass pass = new DecoderPass(
                    engine, model.decoder(), DecoderBuffers.of(workspace, model, 128, 64, DecoderBuffers.Use.TRAINING));
            for (int[] rows : window) {
                pass.lossAndGradients(Batches.pack(parity.data(), rows), LoraPass.none(), 1f / targets);
            }
            for (FlatParameters.Slot slot : model.parameters().slots()) {
                float[] actual = engine.download(model.parameters().gradient(slot));
                float[] reference = HostFloats.read(wanted.data(named(slot, "task")), DType.F32, 0, slot.size());
                float largest = 0;
                for (float value : reference) {
                    largest = Math.max(largest, Math.abs(value));
                }
                assertThat(actual).as(slot.name()).containsExactly(reference, within(2e-5f * largest));
            }
        }
    }

    // ---- the start

    static Stream<Arguments> starts() {
        return Stream.of(Architecture.values())
                .flatMap(architecture -> Stream.of(Precision.values())
                        .flatMap(precision -> Stream.of(Placement.values())
                                .map(placement -> Arguments.of(architecture, precision, placement))));
    }

    private PretrainedModel base(Engine engine, Architecture architecture, Precision precision) {
        TinyModels.write(folder, TinyModels.config(architecture), engine, DType.F32, 11);
        return PretrainedModel.load(folder, engine, precision);
    }

    @ParameterizedTest
    @MethodSource("starts")
    void newModulesChangeNothingNotEvenARounding(Architecture architecture, Precision precision, Placement placement) {
        try (Engine engine = openEngine();
                PretrainedModel base = base(engine, architecture, precision);
                Workspace workspace = new Workspace(engine)) {
            BottleneckModel model = base.attach(new BottleneckConfig(5, placement), 5);
            TokenBatch batch = TinyModels.pack(TinyModels.rows(4, 12, 1));
            DecoderPass plain = pass(workspace, base, batch, DecoderBuffers.Use.EVALUATION);
            double loss = plain.loss(batch, LoraPass.none());
            double margin = startTolerance(base.config(), precision) * loss;
            assertThat(pass(workspace, model, batch, DecoderBuffers.Use.EVALUATION)
                            .loss(batch, LoraPass.none()))
                    .isCloseTo(loss, within(margin));
            assertThat(pass(workspace, model, batch, DecoderBuffers.Use.TRAINING)
                            .lossAndGradients(batch, LoraPass.none(), 1))
                    .isCloseTo(loss, within(margin));
            assertThat(tokens(model)).isEqualTo(tokens(base));
        }
    }

    private static DecoderPass pass(
            Workspace workspace, LanguageModel model, TokenBatch batch, DecoderBuffers.Use use) {
        return new DecoderPass(
                model.engine(), model.decoder(), DecoderBuffers.of(workspace, model, batch.rows(), 64, use));
    }

    private static List<Integer> tokens(LanguageModel model) {
        List<Integer> tokens = new ArrayList<>();
        try (Generator generator = new Generator(model, 16)) {
            generator.generate(new int[] {3, 1, 4, 1, 5}, 6, Sampling.GREEDY, Set.of(), tokens::add);
        }
        return tokens;
    }

    // ---- passes

    private static void randomise(BottleneckModel model) {
        Random random = new Random(4);
        for (FlatParameters.Slot slot : model.parameters().slots()) {
            model.engine()
                    .upload(
                            TinyModels.normal(random, slot.size(), 0.4f),
                            model.parameters().value(slot));
        }
        model.parameters().refresh(model.engine());
    }

    @ParameterizedTest
    @EnumSource
    void computingLayersAgainGivesTheSameBits(Placement placement) {
        try (Engine engine = openEngine();
                PretrainedModel base = base(engine, Architecture.QWEN3, Precision.F32);
                Workspace workspace = new Workspace(engine)) {
            BottleneckModel model = base.attach(new BottleneckConfig(5, placement), 5);
            randomise(model);
            long frozen = base.residentFingerprint();
            TokenBatch batch = TinyModels.pack(TinyModels.rows(4, 12, 1));
            float[] kept = gradients(pass(workspace, model, batch, DecoderBuffers.Use.TRAINING), model, batch);
            float[] again =
                    gradients(pass(workspace, model, batch, DecoderBuffers.Use.CHECKPOINTED_TRAINING), model, batch);
            assertThat(again).isEqualTo(kept).doesNotContain(Float.NaN);
            assertThat(base.residentFingerprint()).as("frozen weights").isEqualTo(frozen);
        }
    }

    private static float[] gradients(DecoderPass pass, BottleneckModel model, TokenBatch batch) {
        model.engine().zero(model.parameters().gradients());
        pass.lossAndGradients(batch, LoraPass.none(), 0.1f);
        return model.engine().download(model.parameters().gradients());
    }

    /** As computed for all tokens at once, although each token's modules ran alone. */
    @Test
    void generatingWithACacheGivesTheTokensOfComputingAllAgain() {
        try (Engine engine = openEngine();
                PretrainedModel base = base(engine, Architecture.LLAMA, Precision.F32)) {
            BottleneckModel model = base.attach(new BottleneckConfig(6, Placement.HOULSBY), 1);
            randomise(model);
            int[] text = {3, 1, 4, 1, 5, 0, 0, 0, 0};
            List<Integer> tokens = new ArrayList<>();
            try (Generator generator = new Generator(model, text.length)) {
                generator.generate(new int[] {3, 1, 4, 1, 5}, 4, Sampling.GREEDY, Set.of(), tokens::add);
                for (int known = 5; known < text.length; known++) {
                    int[] prefix = Arrays.copyOf(text, known);
                    List<Integer> next = new ArrayList<>();
                    generator.generate(prefix, 1, Sampling.GREEDY, Set.of(), next::add);
                    text[known] = next.getFirst();
                }
            }
            assertThat(tokens).containsExactly(text[5], text[6], text[7], text[8]);
            assertThat(tokens(base)).isNotEqualTo(tokens(model));
        }
    }
}
