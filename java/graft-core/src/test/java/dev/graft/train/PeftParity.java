package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.io.SafetensorsFile;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraModule;
import dev.graft.lora.LowRankFactors;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderPass;
import dev.graft.model.Generator;
import dev.graft.model.LanguageModel;
import dev.graft.model.LoraModel;
import dev.graft.model.ModelMerger;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Sampling;
import dev.graft.model.TokenBatch;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.testing.Deltas;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Fine-tuning equals PEFT's in float32: losses, gradients, final A and B, merged weights. One body for all engines; an engine
 * module extends it.
 *
 * <p>Tolerances: the reference run itself moves by 1e-6 relative in its losses when PyTorch sums in another order.
 */
public abstract class PeftParity {
    private static final Percentage LOSS = Percentage.withPercentage(0.002);
    private static final Percentage NORM = Percentage.withPercentage(0.02);

    protected abstract Engine openEngine();

    static Stream<ParityCase> cases() {
        return ParityCase.all();
    }

    private static LoraModel start(PretrainedModel base, ParityCase parity) {
        return parity.init() == null
                ? base.attach(PeftAdapter.read(parity.initialAdapter()), true)
                : base.attach(parity.lora(), 0);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void adaptsTheSameModulesFromTheSameStart(ParityCase parity) {
        try (Engine engine = openEngine();
                PretrainedModel base = PretrainedModel.load(parity.model(), engine, Precision.F32)) {
            LoraModel model = start(base, parity);
            List<String> modules =
                    model.adapter().modules().stream().map(LoraModule::name).toList();
            List<String> expected = new ArrayList<>();
            parity.expected().path("matched_modules").forEach(name -> expected.add(name.asText()));
            assertThat(modules).containsExactlyInAnyOrderElementsOf(expected);
            assertThat(model.adapter().parameterCount())
                    .isEqualTo(parity.expected().path("trainable_parameters").asLong());
            for (LoraModule module : model.adapter().modules()) {
                assertThat(module.scale())
                        .isCloseTo(
                                (float) parity.expected()
                                        .path("module_scalings")
                                        .path(module.name())
                                        .asDouble(),
                                within(1e-6f));
            }
            assertThat(evaluate(model, parity)).isCloseTo(parity.number("init_eval_loss"), LOSS);
            checkStart(engine, model, PeftAdapter.read(parity.initialAdapter()));
        }
    }

    /** PEFT's fresh adapters of {@code llama_basic}'s model. */
    @Test
    void magnitudesOfDoraStartAsPeftStartsThem() {
        PeftAdapter fresh = PeftAdapter.read(Path.of("../graft-core/src/test/resources/peft-files/dora"));
        try (Engine engine = openEngine();
                PretrainedModel base =
                        PretrainedModel.load(ParityCase.named("llama_basic").model(), engine, Precision.F32)) {
            LoraModel model = base.attach(fresh.config(), 0);
            for (LoraModule module : model.adapter().modules()) {
                var slot = Objects.requireNonNull(module.magnitude());
                assertThat(engine.download(model.adapter().parameters().value(slot)))
                        .as(slot.name())
                        .containsExactly(fresh.weights().get(slot.name()), within(1e-6f));
            }
        }
    }

    /** Singular vectors may be the negatives of PEFT's: a row of A is, then, and a column of B. */
    private static void checkStart(Engine engine, LoraModel model, PeftAdapter expected) {
        for (LoraModule module : model.adapter().modules()) {
            float[] signs = signs(engine, model, module, expected);
            for (FlatParameters.Slot slot : List.of(module.a(), module.b())) {
                assertThat(turned(engine.download(model.parameters().value(slot)), slot, module, signs))
                        .as(slot.name())
                        .containsExactly(expected.weights().get(slot.name()), within(1e-5f));
            }
        }
    }

    /** 1, or -1 for the directions of this layer that are the negatives of {@code expected}'s; only PiSSA's may be. */
    private static float[] signs(Engine engine, LoraModel model, LoraModule module, PeftAdapter expected) {
        float[] signs = new float[module.rank()];
        Arrays.fill(signs, 1);
        if (model.adapter().config().init() instanceof AdapterInit.Pissa) {
            float[] ours = engine.download(model.parameters().value(module.a()));
            float[] theirs = expected.weights().get(module.a().name());
            int in = module.module().in();
            for (int i = 0; i < signs.length; i++) {
                double dot = 0;
                for (int j = 0; j < in; j++) {
                    dot += ours[i * in + j] * theirs[i * in + j];
                }
                signs[i] = dot < 0 ? -1 : 1;
            }
        }
        return signs;
    }

    private static float[] turned(float[] values, FlatParameters.Slot slot, LoraModule module, float[] signs) {
        for (int i = 0; i < values.length; i++) {
            values[i] *= signs[slot.equals(module.a()) ? i / slot.cols() : i % slot.cols()];
        }
        return values;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void gradientsOfTheFirstStep(ParityCase parity) {
        try (Engine engine = openEngine();
                PretrainedModel base = PretrainedModel.load(parity.model(), engine, Precision.F32);
                Workspace workspace = new Workspace(engine);
                var expected = SafetensorsFile.open(parity.folder().resolve("gradients_step1.safetensors"))) {
            LoraModel model = start(base, parity);
            firstStepGradients(model, parity, workspace);
            PeftAdapter start = PeftAdapter.read(parity.initialAdapter());
            for (LoraModule module : model.adapter().modules()) {
                float[] signs = signs(engine, model, module, start);
                for (FlatParameters.Slot slot : List.of(module.a(), module.b())) {
                    float[] actual = engine.download(model.parameters().gradient(slot));
                    float[] wanted = HostFloats.read(
                            expected.data("base_model.model." + slot.name()), DType.F32, 0, slot.size());
                    checkGradient(slot.name(), turned(actual, slot, module, signs), wanted);
                }
            }
        }
    }

    private static void checkGradient(String name, float[] actual, float[] wanted) {
        double scale = 0;
        double worst = 0;
        for (int i = 0; i < actual.length; i++) {
            scale = Math.max(scale, Math.abs(wanted[i]));
            worst = Math.max(worst, Math.abs(wanted[i] - actual[i]));
        }
        assertThat(worst).as(name).isLessThanOrEqualTo(2e-5 * scale);
    }

    private static void firstStepGradients(LoraModel model, ParityCase parity, Workspace workspace) {
        TrainConfig config = parity.config();
        List<Example> data = parity.data();
        List<int[]> microBatches = new BatchOrder(data.size(), config).microBatches(0);
        TrainingSize size = TrainingSize.of(data, null, config.batchSize());
        DecoderPass pass = new DecoderPass(
                model.engine(),
                model.decoder(),
                new DecoderBuffers(
                        workspace,
                        model.decoder().config(),
                        model.precision(),
                        model.adapters(),
                        size.maxRows(),
                        size.maxPositions(),
                        DecoderBuffers.Use.TRAINING));
        int targets = microBatches.stream()
                .mapToInt(rows -> Batches.countTargets(data, rows))
                .sum();
        for (int[] rows : microBatches) {
            TokenBatch batch = Batches.pack(data, rows);
            pass.lossAndGradients(batch, model.pass(pass.buffers(), batch.rows(), true, 0, 0), 1f / targets);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void trainsAndMergesLikePeft(ParityCase parity, @TempDir Path out) {
        try (Engine engine = openEngine();
                PretrainedModel base = PretrainedModel.load(parity.model(), engine, Precision.F32)) {
            long baseFingerprint = base.residentFingerprint();
            LoraModel model = start(base, parity);
            long fingerprint = model.residentFingerprint();
            List<StepMetrics> steps = new ArrayList<>();
            try (Trainer trainer = new Trainer(model, parity.data(), null, parity.config())) {
                trainer.train(new TrainListener() {
                    @Override
                    public void onStep(StepMetrics metrics) {
                        steps.add(metrics);
                    }
                });
            }
            checkSteps(steps, parity);
            checkWeights(engine, model, PeftAdapter.read(parity.finalAdapter()));
            assertThat(evaluate(model, parity)).isCloseTo(parity.number("final_eval_loss"), LOSS);
            assertThat(base.residentFingerprint()).isEqualTo(baseFingerprint);
            assertThat(model.residentFingerprint()).isEqualTo(fingerprint);

            model.save(out.resolve("adapter"));
            checkSaved(PeftAdapter.read(out.resolve("adapter")), model, base);
            if (parity.expected().has("merged_eval_loss")) {
                ModelMerger.merge(model, out.resolve("merged"));
                checkMerged(engine, out.resolve("merged"), parity);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void generatesTheSameTokensGreedily(ParityCase parity) {
        try (Engine engine = openEngine();
                PretrainedModel base = PretrainedModel.load(parity.model(), engine, Precision.F32)) {
            LoraModel model = base.attach(PeftAdapter.read(parity.finalAdapter()), false);
            JsonNode greedy = parity.expected().path("greedy");
            int[] prompt = ParityCase.ints(greedy.path("prompt_ids"));
            int[] expected = ParityCase.ints(greedy.path("new_tokens"));
            List<Integer> tokens = new ArrayList<>();
            try (Generator generator = new Generator(model, prompt.length + expected.length)) {
                generator.generate(
                        prompt,
                        expected.length,
                        Sampling.GREEDY,
                        Set.copyOf(base.config().endTokens()),
                        tokens::add);
            }
            assertThat(tokens.stream().mapToInt(Integer::intValue)).containsExactly(box(expected));
        }
    }

    private static Integer[] box(int[] values) {
        return Arrays.stream(values).boxed().toArray(Integer[]::new);
    }

    private static void checkSteps(List<StepMetrics> steps, ParityCase parity) {
        JsonNode expected = parity.expected().path("steps");
        assertThat(steps).hasSize(expected.size());
        for (int i = 0; i < steps.size(); i++) {
            assertThat(steps.get(i).loss())
                    .as("loss of step " + (i + 1))
                    .isCloseTo(expected.get(i).path("loss").asDouble(), LOSS);
            assertThat(steps.get(i).gradNorm())
                    .as("gradient norm of step " + (i + 1))
                    .isCloseTo(expected.get(i).path("grad_norm").asDouble(), NORM);
            assertThat(steps.get(i).learningRate())
                    .as("learning rate of step " + (i + 1))
                    .isCloseTo(expected.get(i).path("lr").asDouble(), within(1e-12));
        }
    }

    /** What took over a part of the base is compared by what it adds to the whole base. */
    private static void checkWeights(Engine engine, LoraModel model, PeftAdapter expected) {
        if (model.changesBase()) {
            Map<String, float[]> wanted = Deltas.of(expected, model.decoder().linearModules());
            Map<String, float[]> actual = Deltas.of(model.adapter(), engine);
            assertThat(actual.keySet()).isEqualTo(wanted.keySet());
            wanted.forEach(
                    (name, delta) -> assertThat(actual.get(name)).as(name).containsExactly(delta, within(2e-5f)));
            return;
        }
        Set<String> names = new HashSet<>();
        model.adapter().parameters().slots().forEach(slot -> names.add(slot.name()));
        model.adapter().savedWeights().forEach(saved -> names.add(saved.name())); // a tied one has a name more
        assertThat(expected.weights().keySet()).containsExactlyInAnyOrderElementsOf(names);
        for (var slot : model.adapter().parameters().slots()) {
            float[] actual = engine.download(model.adapter().parameters().value(slot));
            assertThat(actual)
                    .as(slot.name())
                    .containsExactly(expected.weights().get(slot.name()), within(2e-5f));
        }
    }

    private static void checkSaved(PeftAdapter saved, LoraModel model, PretrainedModel base) {
        assertThat(saved.config().rank())
                .isEqualTo(model.adapter().savedConfig().rank());
        assertThat(saved.base().fingerprint()).isEqualTo(base.fingerprint());
        Map<String, float[]> weights = saved.weights();
        for (LoraModule module : model.adapter().modules()) {
            LowRankFactors factors = model.adapter().saved(base.engine(), module);
            assertThat(weights.get(module.a().name())).isEqualTo(factors.a());
            assertThat(weights.get(module.b().name())).isEqualTo(factors.b());
        }
        saved.checkSaved(base.decoder().savableWeights());
        assertThat(saved.matches(base.decoder().linearModules()))
                .hasSameSizeAs(model.adapter().modules());
    }

    private static void checkMerged(Engine engine, Path merged, ParityCase parity) {
        try (PretrainedModel model = PretrainedModel.load(merged, engine, Precision.F32)) {
            // a bf16 checkpoint rounds what PEFT merged in float32
            boolean exact = model.checkpoint().info("model.norm.weight").dtype() == DType.F32;
            double loss = evaluate(model, parity);
            assertThat(loss)
                    .isCloseTo(parity.number("merged_eval_loss"), exact ? LOSS : Percentage.withPercentage(0.5));
        }
    }

    private static double evaluate(LanguageModel model, ParityCase parity) {
        return Evaluator.evaluate(model, parity.data(), parity.config().batchSize())
                .loss();
    }
}
