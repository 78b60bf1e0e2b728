package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.ModulesToSave;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.FlatParameters.Slot;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Gradients of whole models against differences of the loss, tensor by tensor: along the gradient itself, where a wrong part
 * would lower the slope, and along a random direction, where a missing part would show.
 *
 * <p>Slopes come from four losses, so that the third derivative cancels. Activations are stored in float32: a loss of about 50
 * carries an error of a few 1e-6, a slope one of 1e-3, which is small against gradients of 1 to 70.
 *
 * <p>DoRA's gradients take the lengths of the rows of W0 + s B A as constants. So do the losses here: values are moved without a
 * refresh, and the lengths are those of the last one.
 */
class FiniteDifferenceTest {
    private static final double STEP = 0.002;

    @TempDir
    Path folder;

    private final Engine engine = new ReferenceEngine();
    private final Workspace workspace = new Workspace(engine);
    private final Random random = new Random(17);

    @AfterEach
    void close() {
        workspace.close();
    }

    static Stream<Arguments> adapted() {
        return Stream.of(
                Arguments.of("biases everywhere", TinyModels.config(Architecture.LLAMA), "all-linear", 0.0, false),
                Arguments.of(
                        "a window",
                        TinyModels.config(Architecture.MISTRAL, false, List.of(3, 3)),
                        "all-linear",
                        0.0,
                        false),
                Arguments.of(
                        "norms of queries and keys", TinyModels.config(Architecture.QWEN3), "all-linear", 0.0, false),
                Arguments.of(
                        "a tied head that is adapted",
                        TinyModels.config(Architecture.QWEN2, true, List.of(0, 4)),
                        "k_proj,gate_proj,lm_head",
                        0.0,
                        false),
                Arguments.of("dropout", TinyModels.config(Architecture.QWEN3), "all-linear", 0.4, false),
                Arguments.of("DoRA, biases everywhere", TinyModels.config(Architecture.LLAMA), "all-linear", 0.0, true),
                Arguments.of(
                        "DoRA on some layers and the head",
                        TinyModels.config(Architecture.QWEN2, true, List.of(0, 4)),
                        "k_proj,gate_proj,lm_head",
                        0.0,
                        true),
                Arguments.of("DoRA, dropout", TinyModels.config(Architecture.LLAMA), "all-linear", 0.4, true),
                Arguments.of(
                        "DoRA, dropout on the head",
                        TinyModels.config(Architecture.QWEN3),
                        "v_proj,lm_head",
                        0.4,
                        true));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("adapted")
    void gradientsOfAdapters(String what, DecoderConfig config, String targets, double dropout, boolean dora) {
        TinyModels.write(folder, config, engine, DType.F32, 3);
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            LoraModel model = base.attach(
                    LoraConfig.builder()
                            .rank(3)
                            .alpha(4)
                            .dropout(dropout)
                            .targets(targets)
                            .dora(dora)
                            .build(),
                    1);
            TinyModels.randomise(model.adapter(), engine, 9);
            check(model);
        }
    }

    /** LoRA sits at the top, so that how far down backward goes is the saved weights' own doing. */
    static Stream<Arguments> saved() {
        DecoderConfig biased = TinyModels.config(Architecture.LLAMA);
        DecoderConfig tied = TinyModels.config(Architecture.QWEN2, true, List.of(0, 0));
        DecoderConfig normed = TinyModels.config(Architecture.QWEN3);
        return Stream.of(
                Arguments.of(biased, List.of("embed_tokens"), false),
                Arguments.of(biased, List.of("lm_head"), false),
                Arguments.of(biased, List.of("embed_tokens", "lm_head"), false),
                Arguments.of(tied, List.of("embed_tokens"), false),
                Arguments.of(tied, List.of("lm_head"), false),
                Arguments.of(tied, List.of("embed_tokens", "lm_head"), false),
                Arguments.of(tied, List.of("lm_head"), true),
                Arguments.of(biased, List.of("model.norm"), false),
                Arguments.of(biased, List.of("layers.0.input_layernorm"), false),
                Arguments.of(biased, List.of("layers.0.post_attention_layernorm"), false),
                Arguments.of(biased, List.of("layers.0.self_attn.q_proj"), false),
                Arguments.of(biased, List.of("layers.0.self_attn.o_proj"), false),
                Arguments.of(biased, List.of("layers.0.mlp.down_proj"), false),
                Arguments.of(biased, List.of("layers.0.mlp"), false),
                Arguments.of(normed, List.of("layers.0.self_attn.q_norm"), false),
                Arguments.of(normed, List.of("k_norm"), false),
                Arguments.of(normed, List.of("norm"), false));
    }

    @ParameterizedTest
    @MethodSource("saved")
    void gradientsOfSavedModules(DecoderConfig config, List<String> modules, boolean keepTies) {
        TinyModels.write(folder, config, engine, DType.F32, 3);
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            LoraModel model = base.attach(
                    LoraConfig.builder()
                            .rank(3)
                            .targets("layers.1.mlp.down_proj")
                            .modulesToSave(new ModulesToSave(modules, keepTies))
                            .build(),
                    1);
            assertThat(model.adapter().savedWeights()).hasSizeGreaterThanOrEqualTo(modules.size());
            TinyModels.randomise(model.adapter(), engine, 9);
            check(model);
        }
    }

    static Stream<Arguments> whole() {
        return Stream.of(
                Arguments.of(TinyModels.config(Architecture.LLAMA)),
                Arguments.of(TinyModels.config(Architecture.LLAMA, true, List.of(0, 0))),
                Arguments.of(TinyModels.config(Architecture.QWEN3, true, List.of(4, 0))),
                Arguments.of(TinyModels.config(Architecture.QWEN2, false, List.of(0, 0))));
    }

    @ParameterizedTest
    @MethodSource("whole")
    void gradientsOfAllWeights(DecoderConfig config) {
        try (FullModel model = TinyModels.full(config, engine, Precision.F32, DType.F32, 5)) {
            assertThat(model.parameters().slots()).hasSameSizeAs(WeightShape.of(config));
            check(model);
        }
    }

    @ParameterizedTest
    @EnumSource
    void gradientsOfBottleneckModules(BottleneckConfig.Placement placement) {
        TinyModels.write(folder, TinyModels.config(Architecture.LLAMA), engine, DType.F32, 3);
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            BottleneckModel model = base.attach(new BottleneckConfig(5, placement), 1);
            for (Slot slot : model.parameters().slots()) {
                engine.upload(
                        TinyModels.normal(random, slot.size(), 0.3f),
                        model.parameters().value(slot));
            }
            check(model);
        }
    }

    private void check(Trainable model) {
        TokenBatch batch = TinyModels.pack(TinyModels.rows(3, 9, 4));
        DecoderPass pass = new DecoderPass(
                engine,
                model.decoder(),
                DecoderBuffers.of(workspace, model, batch.rows(), 64, DecoderBuffers.Use.TRAINING));
        pass.lossAndGradients(batch, model.pass(pass.buffers(), batch.rows(), true, 6, 2), 1);
        FlatParameters parameters = model.parameters();
        for (Slot slot : parameters.slots()) {
            float[] gradient = engine.download(parameters.gradient(slot));
            double norm = norm(gradient);
            assertThat(norm).as(slot.name()).isPositive();
            for (float[] direction : List.of(gradient, TinyModels.normal(random, gradient.length, 1))) {
                double length = norm(direction);
                double expected = 0;
                for (int i = 0; i < direction.length; i++) {
                    expected += direction[i] / length * gradient[i];
                }
                double slope = slope(model, pass, batch, slot, direction, STEP / length);
                assertThat(slope)
                        .as(slot.name() + ", gradient of norm " + norm)
                        .isCloseTo(expected, within(4e-3 + 2e-3 * norm));
            }
        }
    }

    private double slope(
            Trainable model, DecoderPass pass, TokenBatch batch, Slot slot, float[] direction, double step) {
        float[] values = engine.download(model.parameters().value(slot));
        double near = lossAt(model, pass, batch, slot, moved(values, direction, step))
                - lossAt(model, pass, batch, slot, moved(values, direction, -step));
        double far = lossAt(model, pass, batch, slot, moved(values, direction, 2 * step))
                - lossAt(model, pass, batch, slot, moved(values, direction, -2 * step));
        engine.upload(values, model.parameters().value(slot));
        return (8 * near - far) / (12 * STEP);
    }

    private double lossAt(Trainable model, DecoderPass pass, TokenBatch batch, Slot slot, float[] values) {
        engine.upload(values, model.parameters().value(slot));
        return pass.loss(batch, model.pass(pass.buffers(), batch.rows(), true, 6, 2));
    }

    private static float[] moved(float[] values, float[] direction, double step) {
        float[] moved = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            moved[i] = (float) (values[i] + step * direction[i]);
        }
        return moved;
    }

    private static double norm(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += (double) value * value;
        }
        return Math.sqrt(sum);
    }
}
