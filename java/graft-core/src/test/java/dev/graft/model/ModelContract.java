package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.AdapterRange;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.LoraPass;
import dev.graft.lora.PeftAdapter;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What must hold for adapters on a decoder whatever the engine; an engine module extends it. */
public abstract class ModelContract {
    private static final String HEAD_TOO = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj,lm_head";

    @TempDir
    Path folder;

    private final Engine engine = openEngine();
    private final Workspace workspace = new Workspace(engine);

    protected abstract Engine openEngine();

    @AfterEach
    void close() {
        workspace.close();
        engine.close();
    }

    private PretrainedModel base(DecoderConfig config, Precision precision) {
        TinyModels.write(folder, config, engine, DType.F32, 11);
        return PretrainedModel.load(folder, engine, precision);
    }

    private DecoderPass pass(PretrainedModel base, List<LoraAdapter> adapters, int rows, DecoderBuffers.Use use) {
        DecoderBuffers buffers =
                new DecoderBuffers(workspace, base.config(), base.precision(), adapters, rows, 64, use);
        return new DecoderPass(engine, base.decoder(), buffers);
    }

    /**
     * How far apart results may lie, relative to the largest, whose products have some more zeros to add up; 0: the same bits. Not 0
     * for an engine that makes the factors a part of the frozen product with a library that chooses the order of sums by size.
     */
    protected double zeroFactorTolerance(Precision precision) {
        return 0;
    }

    private void assertSame(String what, float[] actual, float[] expected, Precision precision) {
        float largest = 0;
        for (float value : expected) {
            largest = Math.max(largest, Math.abs(value));
        }
        assertThat(actual)
                .as(what)
                .doesNotContain(Float.NaN)
                .containsExactly(expected, within((float) zeroFactorTolerance(precision) * largest));
    }

    // ---- B = 0

    static Stream<Arguments> starts() {
        return Stream.of(Architecture.values())
                .flatMap(architecture -> Stream.of(Precision.values()).map(p -> Arguments.of(architecture, p)));
    }

    @ParameterizedTest
    @MethodSource("starts")
    void aNewAdapterChangesNothingNotEvenARounding(Architecture architecture, Precision precision) {
        try (PretrainedModel base = base(TinyModels.config(architecture), precision)) {
            LoraModel model = base.attach(
                    LoraConfig.builder().rank(3).dropout(0.3).targets(HEAD_TOO).build(), 5);
            TokenBatch batch = TinyModels.pack(TinyModels.rows(4, 12, 1));
            DecoderPass plain = pass(base, List.of(), batch.rows(), DecoderBuffers.Use.EVALUATION);
            DecoderPass adapted = pass(base, model.adapters(), batch.rows(), DecoderBuffers.Use.TRAINING);
            double loss = plain.loss(batch, LoraPass.none());
            double tolerance = zeroFactorTolerance(base.precision()) * loss;
            assertThat(adapted.loss(batch, model.pass(adapted.buffers(), batch.rows(), false, 0, 0)))
                    .isCloseTo(loss, within(tolerance));
            assertThat(adapted.lossAndGradients(batch, model.pass(adapted.buffers(), batch.rows(), true, 0, 0), 1))
                    .as("dropout acts on the low-rank part alone")
                    .isCloseTo(loss, within(tolerance));

            TokenBatch prompt = TokenBatch.continuation(new int[] {3, 1, 4, 1, 5}, 0, 5);
            assertSame("logits", logits(model, prompt), logits(base, prompt), base.precision());
        }
    }

    /** DoRA starts there too, but its factor of m / n is 1 only up to the rounding of norms and products. */
    @ParameterizedTest
    @MethodSource("starts")
    void aNewDoraAdapterChangesNothingBeyondRounding(Architecture architecture, Precision precision) {
        try (PretrainedModel base = base(TinyModels.config(architecture), precision)) {
            LoraModel model = base.attach(
                    LoraConfig.builder().rank(3).targets(HEAD_TOO).dora(true).build(), 5);
            TokenBatch batch = TinyModels.pack(TinyModels.rows(4, 12, 1));
            DecoderPass plain = pass(base, List.of(), batch.rows(), DecoderBuffers.Use.EVALUATION);
            DecoderPass adapted = pass(base, model.adapters(), batch.rows(), DecoderBuffers.Use.TRAINING);
            double loss = plain.loss(batch, LoraPass.none());
            double rounding = base.precision() == Precision.F32 ? 1e-5 : 0.02;
            assertThat(adapted.lossAndGradients(batch, model.pass(adapted.buffers(), batch.rows(), true, 0, 0), 1))
                    .isCloseTo(loss, within(rounding * loss));

            TinyModels.randomise(model.adapter(), engine, 3);
            TokenBatch prompt = TokenBatch.continuation(new int[] {3, 1, 4, 1, 5}, 0, 5);
            TokenBatch beginning = TokenBatch.continuation(new int[] {3, 1, 4}, 0, 5);
            TokenBatch rest = TokenBatch.continuation(new int[] {1, 5}, 3, 5);
            assertThat(logits(model, beginning, rest))
                    .as("token by token as at once")
                    .containsExactly(logits(model, prompt), within(base.precision() == Precision.F32 ? 1e-4f : 0.2f));
        }
    }

    private float[] logits(LanguageModel model, TokenBatch... prompt) {
        DecoderConfig config = model.decoder().config();
        KeyValueCache cache = new KeyValueCache(workspace, config, model.precision(), 16);
        DecoderBuffers buffers = new DecoderBuffers(
                workspace, config, model.precision(), model.adapters(), 16, 16, DecoderBuffers.Use.GENERATION);
        DecoderPass pass = new DecoderPass(engine, model.decoder(), buffers);
        float[] logits = {};
        for (TokenBatch block : prompt) {
            logits = pass.nextTokenLogits(block, model.pass(buffers, block.rows(), false, 0, 0), cache);
        }
        return logits;
    }

    // ---- A and B that take over a part of W0

    static Stream<Arguments> takingOver() {
        return Stream.of("pissa", "pissa_niter_4", "olora")
                .flatMap(init -> Stream.of(Precision.values())
                        .flatMap(p -> Stream.of(false, true).map(dora -> Arguments.of(init, p, dora))));
    }

    @ParameterizedTest
    @MethodSource("takingOver")
    void anAdapterThatTakesOverAPartStartsAsTheBaseAndLeavesItAlone(String init, Precision precision, boolean dora) {
        try (PretrainedModel base = base(TinyModels.config(Architecture.QWEN2), precision)) {
            long before = base.residentFingerprint();
            TokenBatch prompt = TokenBatch.continuation(new int[] {3, 1, 4, 1, 5}, 0, 5);
            float[] logits = logits(base, prompt);
            LoraConfig config = LoraConfig.builder()
                    .rank(3)
                    .targets("q_proj,o_proj,down_proj,lm_head")
                    .init(AdapterInit.parse(init))
                    .dora(dora)
                    .build();
            LoraModel model = base.attach(config, 5);
            assertThat(model.changesBase()).isTrue();
            assertThat(logits(model, prompt)).containsExactly(logits, within(tolerance(precision)));
            assertThat(logits(base, prompt)).isEqualTo(logits);
            assertThat(base.residentFingerprint()).isEqualTo(before);
            assertThat(model.residentFingerprint()).isNotEqualTo(before);

            TinyModels.randomise(model.adapter(), engine, 2);
            model.save(folder.resolve("adapter"));
            LoraModel loaded = base.attach(PeftAdapter.read(folder.resolve("adapter")), false);
            assertThat(logits(loaded, prompt))
                    .containsExactly(logits(model, prompt), within(10 * tolerance(precision)));
            ModelMerger.merge(model, folder.resolve("merged"));
            try (PretrainedModel merged = PretrainedModel.load(folder.resolve("merged"), engine, precision)) {
                assertThat(logits(merged, prompt))
                        .containsExactly(logits(model, prompt), within(10 * tolerance(precision)));
            }
        }
    }

    /** In bf16 the weights that are left were rounded anew. */
    private static float tolerance(Precision precision) {
        return precision == Precision.F32 ? 2e-5f : 0.1f;
    }

    @Test
    void aHeadThatIsTheEmbeddingCannotBeTakenFrom() {
        try (PretrainedModel base = base(TinyModels.config(Architecture.QWEN2, true, List.of(0, 0)), Precision.F32)) {
            LoraConfig config = LoraConfig.builder()
                    .rank(3)
                    .targets("q_proj,lm_head")
                    .init(AdapterInit.OLORA)
                    .build();
            assertThatThrownBy(() -> base.attach(config, 0))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("lm_head")
                    .message()
                    .doesNotContain("\n");
        }
    }

    // ---- several adapters

    @ParameterizedTest
    @CsvSource({"false, false", "true, false", "true, true"})
    void adaptersThatShareABatchDoWhatEachDoesAlone(boolean firstDora, boolean secondDora) {
        try (PretrainedModel base = base(TinyModels.config(Architecture.QWEN2), Precision.F32)) {
            LoraAdapter first = adapter(base, "q_proj,down_proj,lm_head", 2, firstDora);
            LoraAdapter second = adapter(base, "q_proj,v_proj,gate_proj", 5, secondDora);
            List<Example> rows = TinyModels.rows(6, 9, 3);
            TokenBatch all = TinyModels.pack(rows);
            int split = rows.subList(0, 2).stream().mapToInt(Example::length).sum();
            int gap = split + rows.get(2).length();
            int end = rows.stream().mapToInt(Example::length).sum();
            DecoderPass together = pass(base, List.of(first, second), all.rows(), DecoderBuffers.Use.TRAINING);
            List<AdapterRange> ranges = List.of(new AdapterRange(first, 0, split), new AdapterRange(second, gap, end));
            double loss = together.lossAndGradients(
                    all, new LoraPass(ranges, together.buffers().lora(), true, 0, 0), 0.1f);
            Map<String, float[]> firstTogether = takeGradients(first);
            Map<String, float[]> secondTogether = takeGradients(second);

            TokenBatch middle = TinyModels.pack(rows.subList(2, 3));
            double apart = lossAndGradients(base, first, rows.subList(0, 2))
                    + lossAndGradients(base, second, rows.subList(3, 6))
                    + pass(base, List.of(), middle.rows(), DecoderBuffers.Use.EVALUATION)
                            .loss(middle, LoraPass.none());
            assertThat(loss).isCloseTo(apart, within(1e-5 * apart));
            assertClose(firstTogether, takeGradients(first));
            assertClose(secondTogether, takeGradients(second));
        }
    }

    private LoraAdapter adapter(PretrainedModel base, String targets, int rank, boolean dora) {
        LoraConfig config = LoraConfig.builder()
                .rank(rank)
                .alpha(2 * rank)
                .targets(targets)
                .dora(dora)
                .build();
        LoraAdapter adapter = base.newAdapter(config, workspace, true);
        TinyModels.randomise(adapter, engine, rank);
        return adapter;
    }

    private double lossAndGradients(PretrainedModel base, LoraAdapter adapter, List<Example> rows) {
        return lossAndGradients(base, adapter, rows, DecoderBuffers.Use.TRAINING);
    }

    private double lossAndGradients(
            PretrainedModel base, LoraAdapter adapter, List<Example> rows, DecoderBuffers.Use use) {
        TokenBatch batch = TinyModels.pack(rows);
        DecoderPass pass = pass(base, List.of(adapter), batch.rows(), use);
        LoraPass lora = new LoraPass(
                List.of(new AdapterRange(adapter, 0, batch.rows())),
                pass.buffers().lora(),
                true,
                0,
                0);
        return pass.lossAndGradients(batch, lora, 0.1f);
    }

    private Map<String, float[]> takeGradients(LoraAdapter adapter) {
        Map<String, float[]> gradients = new java.util.LinkedHashMap<>();
        for (FlatParameters.Slot slot : adapter.parameters().slots()) {
            gradients.put(slot.name(), engine.download(adapter.parameters().gradient(slot)));
        }
        engine.zero(adapter.parameters().gradients());
        return gradients;
    }

    private static void assertClose(Map<String, float[]> actual, Map<String, float[]> expected) {
        assertThat(actual).containsOnlyKeys(expected.keySet());
        expected.forEach((name, values) -> {
            float largest = 0;
            for (float value : values) {
                largest = Math.max(largest, Math.abs(value));
            }
            assertThat(largest).as(name).isPositive();
            assertThat(actual.get(name)).as(name).containsExactly(values, within(2e-5f * largest));
        });
    }

    // ---- partial targets

    @ParameterizedTest
    @org.junit.jupiter.params.provider.ValueSource(
            strings = {
                "layers.1.self_attn.q_proj",
                "layers.1.mlp.down_proj",
                "layers.1.mlp.gate_proj,layers.1.mlp.up_proj",
                "layers.0.mlp.up_proj",
                "layers.0.self_attn.o_proj",
                "layers.0.self_attn.v_proj,layers.1.self_attn.o_proj",
                "lm_head",
            })
    void backwardThatStopsEarlyGivesTheGradientsOfAFullOne(String targets) {
        try (PretrainedModel base = base(TinyModels.config(Architecture.LLAMA), Precision.F32)) {
            LoraAdapter some = adapter(base, targets, 3, false);
            LoraAdapter all = adapter(base, HEAD_TOO, 3, false);
            for (FlatParameters.Slot slot : all.parameters().slots()) {
                float[] values = some.parameters().slots().stream()
                        .filter(candidate -> candidate.name().equals(slot.name()))
                        .findFirst()
                        .map(same -> engine.download(some.parameters().value(same)))
                        .orElseGet(() -> slot.name().contains("lora_B")
                                ? new float[slot.size()]
                                : engine.download(all.parameters().value(slot)));
                engine.upload(values, all.parameters().value(slot));
            }
            List<Example> rows = TinyModels.rows(4, 9, 5);
            double loss = lossAndGradients(base, some, rows);
            assertThat(lossAndGradients(base, all, rows))
                    .isCloseTo(loss, within(zeroFactorTolerance(Precision.F32) * loss));
            Map<String, float[]> full = takeGradients(all);
            takeGradients(some).forEach((name, values) -> assertSame(name, values, full.get(name), Precision.F32));
        }
    }

    // ---- gradient checkpointing

    static Stream<Arguments> checkpointed() {
        return Stream.of(Architecture.LLAMA, Architecture.QWEN3)
                .flatMap(architecture -> Stream.of(Precision.values())
                        .flatMap(precision -> Stream.of(HEAD_TOO, "layers.0.mlp.up_proj", "layers.1.self_attn.o_proj")
                                .flatMap(targets -> Stream.of(false, true)
                                        .map(dora -> Arguments.of(architecture, precision, targets, dora)))));
    }

    @ParameterizedTest
    @MethodSource("checkpointed")
    void gradientCheckpointingGivesTheSameBits(
            Architecture architecture, Precision precision, String targets, boolean dora) {
        try (PretrainedModel base = base(TinyModels.config(architecture), precision)) {
            LoraConfig config = LoraConfig.builder()
                    .rank(3)
                    .dropout(0.2)
                    .targets(targets)
                    .dora(dora)
                    .build();
            LoraAdapter adapter = base.newAdapter(config, workspace, true);
            TinyModels.randomise(adapter, engine, 8);
            List<Example> rows = TinyModels.rows(4, 9, 5);
            double loss = lossAndGradients(base, adapter, rows, DecoderBuffers.Use.TRAINING);
            Map<String, float[]> kept = takeGradients(adapter);
            assertThat(lossAndGradients(base, adapter, rows, DecoderBuffers.Use.CHECKPOINTED_TRAINING))
                    .isEqualTo(loss);
            takeGradients(adapter)
                    .forEach((name, values) -> assertThat(values)
                            .as(name)
                            .isEqualTo(kept.get(name))
                            .doesNotContain(Float.NaN));
        }
    }

    // ---- generation

    @ParameterizedTest
    @EnumSource
    void cachedGenerationEqualsComputingAllAgain(Architecture architecture) {
        List<Integer> windows = architecture == Architecture.LLAMA ? List.of(0, 0) : List.of(7, 7);
        try (PretrainedModel base = base(TinyModels.config(architecture, false, windows), Precision.F32)) {
            LoraModel model =
                    base.attach(LoraConfig.builder().rank(2).targets(HEAD_TOO).build(), 1);
            TinyModels.randomise(model.adapter(), engine, 4);
            int[] prompt =
                    new java.util.Random(2).ints(270, 0, TinyModels.VOCABULARY).toArray();
            List<Integer> tokens = new ArrayList<>();
            try (Generator generator = new Generator(model, 280)) {
                Generator.Stop stop = generator.generate(prompt, 4, Sampling.GREEDY, Set.of(), tokens::add);
                assertThat(stop).isEqualTo(Generator.Stop.LENGTH);
                List<Integer> again = new ArrayList<>();
                generator.generate(prompt, 4, Sampling.GREEDY, Set.of(), again::add);
                assertThat(again).as("a second text starts with an empty cache").isEqualTo(tokens);
            }
            assertThat(tokens).hasSize(4);
            int[] text = java.util.Arrays.copyOf(prompt, prompt.length + tokens.size());
            for (int i = 0; i < tokens.size(); i++) {
                int known = prompt.length + i;
                text[known] = tokens.get(i);
                float[] logits = wholeLogits(model, java.util.Arrays.copyOf(text, known));
                assertThat(argmax(logits)).as("token " + i).isEqualTo(tokens.get(i));
            }
        }
    }

    /** Everything at once, in one block. */
    private float[] wholeLogits(LoraModel model, int[] ids) {
        DecoderConfig config = model.decoder().config();
        try (Workspace own = new Workspace(engine)) {
            KeyValueCache cache = new KeyValueCache(own, config, model.precision(), ids.length);
            DecoderBuffers buffers = new DecoderBuffers(
                    own,
                    config,
                    model.precision(),
                    model.adapters(),
                    ids.length,
                    ids.length,
                    DecoderBuffers.Use.GENERATION);
            return new DecoderPass(engine, model.decoder(), buffers)
                    .nextTokenLogits(
                            TokenBatch.continuation(ids, 0, ids.length),
                            model.pass(buffers, ids.length, false, 0, 0),
                            cache);
        }
    }

    private static int argmax(float[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            best = values[i] > values[best] ? i : best;
        }
        return best;
    }

    // ---- frozen weights

    @Test
    void aTrainingPassLeavesEveryFrozenBitAlone() {
        try (PretrainedModel base = base(TinyModels.config(Architecture.QWEN2), Precision.BF16)) {
            long before = base.residentFingerprint();
            LoraAdapter adapter = adapter(base, HEAD_TOO, 4, true);
            lossAndGradients(base, adapter, TinyModels.rows(3, 8, 2));
            assertThat(base.residentFingerprint()).isEqualTo(before);
        }
    }
}
