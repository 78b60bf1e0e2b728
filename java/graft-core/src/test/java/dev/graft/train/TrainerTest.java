package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.io.Json;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraConfig;
import dev.graft.model.Architecture;
import dev.graft.model.FullModel;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs: accumulation, resuming, failing. */
class TrainerTest {
    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();
    private final List<Example> data = TinyModels.rows(10, 9, 8);
    private PretrainedModel base;

    @BeforeEach
    void open() {
        TinyModels.write(folder.resolve("base"), TinyModels.config(Architecture.QWEN3), engine, DType.F32, 6);
        base = PretrainedModel.load(folder.resolve("base"), engine, Precision.F32);
    }

    @AfterEach
    void close() {
        base.close();
    }

    private static LoraConfig.Builder lora() {
        return LoraConfig.builder().rank(2).alpha(4).targets("q_proj,v_proj,down_proj");
    }

    private static TrainConfig.Builder config() {
        return TrainConfig.builder().batchSize(2).learningRate(5e-3).seed(3);
    }

    private LoraModel model(LoraConfig.Builder lora) {
        return base.attach(lora.build(), 1);
    }

    private List<StepMetrics> train(LoraModel model, TrainConfig config) {
        return train(model, data, config);
    }

    private static List<StepMetrics> train(LoraModel model, List<Example> rows, TrainConfig config) {
        List<StepMetrics> steps = new ArrayList<>();
        try (Trainer trainer = new Trainer(model, rows, null, config)) {
            trainer.train(new TrainListener() {
                @Override
                public void onStep(StepMetrics metrics) {
                    steps.add(metrics);
                }
            });
        }
        return steps;
    }

    private float[] values(LoraModel model) {
        return engine.download(model.parameters().values());
    }

    // ---- accumulation

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void accumulationEqualsTheFullBatchAlsoInAPartialWindow(int microBatch) {
        // 10 rows in windows of 6: the second holds 4, and 3 does not divide it
        LoraModel whole = model(lora());
        List<StepMetrics> full = train(whole, config().batchSize(6).epochs(2).build());
        LoraModel parts = model(lora());
        List<StepMetrics> accumulated = train(
                parts,
                config().batchSize(microBatch)
                        .gradAccum(6 / microBatch)
                        .epochs(2)
                        .build());
        assertThat(accumulated).hasSize(4);
        for (int i = 0; i < 4; i++) {
            assertThat(accumulated.get(i).tokens()).isEqualTo(full.get(i).tokens());
            assertThat(accumulated.get(i).loss()).isCloseTo(full.get(i).loss(), within(1e-5));
            assertThat(accumulated.get(i).gradNorm()).isCloseTo(full.get(i).gradNorm(), within(1e-4));
        }
        assertThat(values(parts)).containsExactly(values(whole), within(1e-4f));
    }

    @Test
    void theSameSeedGivesTheSameBitsAndAnotherOtherOnes() {
        float[] first = run(3);
        assertThat(run(3)).isEqualTo(first);
        assertThat(run(4)).isNotEqualTo(first);
    }

    private float[] run(long seed) {
        LoraModel model = model(lora().dropout(0.2));
        train(model, config().seed(seed).steps(4).build());
        return values(model);
    }

    // ---- stop and resume

    private static TrainConfig.Builder resumable() {
        return config().gradAccum(2).epochs(3).saveEvery(2).evalEvery(3).warmupSteps(2);
    }

    private Trainer.Result run(LoraModel model, Path out, boolean resume, int stopAfter) {
        try (Trainer trainer =
                new Trainer(model, data, data.subList(0, 3), resumable().build())) {
            return trainer.output(out, resume).train(new TrainListener() {
                @Override
                public void onStep(StepMetrics metrics) {
                    if (metrics.step() == stopAfter) {
                        trainer.requestStop();
                    }
                }
            });
        }
    }

    private static List<ObjectNode> metrics(Path out) throws IOException {
        List<ObjectNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(out.resolve(MetricsFile.NAME))) {
            ObjectNode json = Json.parseObject(line, "metrics");
            json.remove(List.of("elapsed_s", "tokens_per_second"));
            lines.add(json);
        }
        return lines;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 4, 8})
    void aResumedRunEndsWithTheBitsOfOneThatNeverStopped(int stopAfter) throws IOException {
        LoraModel straight = model(lora().dropout(0.3));
        Path one = folder.resolve("one");
        assertThat(run(straight, one, false, 0)).isEqualTo(new Trainer.Result(9, lastLoss(one), true));
        straight.save(one);

        Path two = folder.resolve("two");
        Trainer.Result stopped = run(model(lora().dropout(0.3)), two, false, stopAfter);
        assertThat(stopped.steps()).isEqualTo(stopAfter);
        assertThat(stopped.completed()).isFalse();
        assertThat(two.resolve("checkpoint-" + stopAfter)).isDirectory();
        // another seed: what the model starts with must not matter
        LoraModel resumed = base.attach(lora().dropout(0.3).build(), 99);
        assertThat(run(resumed, two, true, 0).completed()).isTrue();
        resumed.save(two);
        assertThat(metrics(two)).isEqualTo(metrics(one));
        for (String file : List.of("adapter_model.safetensors", "adapter_config.json")) {
            assertThat(Files.mismatch(two.resolve(file), one.resolve(file)))
                    .as(file)
                    .isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"pissa", "pissa_niter_3", "olora"})
    void aResumedRunTakesOverTheSamePartOfTheBase(String init) throws IOException {
        LoraConfig.Builder lora = lora().init(AdapterInit.parse(init));
        Path one = folder.resolve("one");
        LoraModel straight = model(lora);
        run(straight, one, false, 0);
        straight.save(one);
        Path two = folder.resolve("two");
        run(model(lora), two, false, 4);
        try (PretrainedModel again = PretrainedModel.load(folder.resolve("base"), engine, Precision.F32)) {
            LoraModel resumed = again.attach(lora.build(), 1);
            assertThat(run(resumed, two, true, 0).completed()).isTrue();
            resumed.save(two);
        }
        assertThat(metrics(two)).isEqualTo(metrics(one));
        for (String file : List.of("adapter_model.safetensors", "adapter_config.json")) {
            assertThat(Files.mismatch(two.resolve(file), one.resolve(file)))
                    .as(file)
                    .isEqualTo(-1);
        }
    }

    @Test
    void aRunThatTookOverAnotherPartIsNotResumed() {
        Path out = folder.resolve("out");
        LoraConfig.Builder rough = lora().init(new AdapterInit.RandomisedPissa(0));
        run(model(rough), out, false, 4);
        for (LoraModel other :
                List.of(base.attach(rough.build(), 2), model(lora().init(AdapterInit.OLORA)), model(lora()))) {
            assertThatThrownBy(() -> run(other, out, true, 0))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("the run to resume had")
                    .message()
                    .doesNotContain("\n");
        }
    }

    private static double lastLoss(Path out) throws IOException {
        return metrics(out).stream()
                .filter(line -> line.has("loss"))
                .toList()
                .getLast()
                .path("loss")
                .asDouble();
    }

    @Test
    void aTornMetricsLineDoesNotStopAResumedRun() throws IOException {
        Path out = folder.resolve("out");
        run(model(lora()), out, false, 5);
        Path file = out.resolve(MetricsFile.NAME);
        List<ObjectNode> before = metrics(out);
        Files.writeString(file, Files.readString(file) + "{\"step\":6,\"lo");
        run(model(lora()), out, true, 7);
        assertThat(metrics(out).subList(0, before.size())).isEqualTo(before);
        assertThat(metrics(out).getLast().path("step").asInt()).isEqualTo(7);
    }

    static Stream<Arguments> otherRuns() {
        return Stream.of(
                Arguments.of(
                        "learningRate", lora(), resumable().learningRate(1e-3).build()),
                Arguments.of("seed", lora(), resumable().seed(4).build()),
                Arguments.of(
                        "schedule",
                        lora(),
                        resumable().schedule(LearningRateSchedule.LINEAR).build()),
                Arguments.of("batchSize", lora(), resumable().batchSize(3).build()),
                Arguments.of("shuffle", lora(), resumable().shuffle(false).build()),
                Arguments.of("rank", lora().rank(3), resumable().build()),
                Arguments.of("alpha", lora().alpha(5), resumable().build()),
                Arguments.of("dropout", lora().dropout(0.1), resumable().build()),
                Arguments.of("rslora", lora().rsLora(true), resumable().build()),
                Arguments.of(
                        "targets",
                        lora().targets("q_proj,v_proj,o_proj"),
                        resumable().build()));
    }

    @ParameterizedTest
    @MethodSource("otherRuns")
    void anotherRunIsNotResumed(String named, LoraConfig.Builder lora, TrainConfig config) {
        Path out = folder.resolve("out");
        run(model(lora()), out, false, 2);
        try (Trainer trainer = new Trainer(model(lora), data, null, config)) {
            assertThatThrownBy(() -> trainer.output(out, true))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining(named)
                    .hasMessageContaining("checkpoint-2");
        }
    }

    @Test
    void otherDataOrAnotherBaseIsNotResumedOtherIntervalsAre() {
        Path out = folder.resolve("out");
        run(model(lora()), out, false, 2);
        try (Trainer trainer = new Trainer(
                model(lora()), TinyModels.rows(10, 9, 9), null, resumable().build())) {
            assertThatThrownBy(() -> trainer.output(out, true))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("other data");
        }
        TinyModels.write(folder.resolve("other"), TinyModels.config(Architecture.QWEN3), engine, DType.F32, 7);
        try (PretrainedModel other = PretrainedModel.load(folder.resolve("other"), engine, Precision.F32);
                Trainer trainer = new Trainer(
                        other.attach(lora().build(), 1), data, null, resumable().build())) {
            assertThatThrownBy(() -> trainer.output(out, true))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("fingerprint");
        }
        TrainConfig intervals = resumable().saveEvery(7).evalEvery(0).build();
        try (Trainer trainer = new Trainer(model(lora()), data, null, intervals)) {
            assertThat(trainer.output(out, true).stepsDone()).isEqualTo(2);
        }
    }

    // ---- LoRA+

    @Test
    void bLearnsFasterByTheRatio() {
        LoraModel model = model(lora());
        TinyModels.randomise(model.adapter(), engine, 4); // so that A has gradients, too
        Map<String, float[]> before = bySlot(model);
        train(model, config().steps(1).learningRate(1e-3).loraPlusRatio(5).build());
        Map<String, float[]> after = bySlot(model);
        before.forEach((name, values) -> {
            // the first step of Adam moves every number by its learning rate
            float step = name.endsWith("lora_B.weight") ? 5e-3f : 1e-3f;
            for (int i = 0; i < values.length; i++) {
                assertThat(Math.abs(after.get(name)[i] - values[i])).as(name).isCloseTo(step, within(step / 50));
            }
        });
    }

    private Map<String, float[]> bySlot(LoraModel model) {
        return model.parameters().slots().stream()
                .collect(Collectors.toMap(
                        slot -> slot.name(),
                        slot -> engine.download(model.parameters().value(slot))));
    }

    @Test
    void aModelWithoutBCannotLearnByLoraPlus() {
        try (FullModel full = TinyModels.full(base.config(), engine, Precision.F32, DType.F32, 1)) {
            assertThatThrownBy(() -> new Trainer(
                            full, data, null, config().loraPlusRatio(2).build()))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("--lora-plus-ratio 2");
        }
        assertThatThrownBy(() -> config().loraPlusRatio(0.5).build())
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--lora-plus-ratio 0.5");
    }

    // ---- failing

    @Test
    void aLossThatIsNotFiniteStopsTheRunAndKeepsTheLastGoodCheckpoint() throws IOException {
        Path out = folder.resolve("out");
        LoraModel model = model(lora());
        try (Trainer trainer = new Trainer(model, data, null, resumable().build())) {
            trainer.output(out, false);
            assertThatThrownBy(() -> trainer.train(new TrainListener() {
                        @Override
                        public void onStep(StepMetrics metrics) {
                            if (metrics.step() == 4) {
                                var slot = model.parameters().slots().getLast();
                                float[] broken = new float[slot.size()];
                                broken[0] = Float.NaN;
                                engine.upload(broken, model.parameters().value(slot));
                            }
                        }
                    }))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("step 5")
                    .hasMessageContaining("NaN")
                    .hasMessageContaining("checkpoint-");
        }
        assertThat(metrics(out).getLast().path("step").asInt()).isEqualTo(4);
        assertThat(out.resolve("checkpoint-2")).isDirectory();
        try (Trainer trainer =
                new Trainer(model(lora()), data, null, resumable().build())) {
            assertThat(trainer.output(out, true).stepsDone()).isIn(2, 4);
        }
    }

    @Test
    void aCheckpointThatCannotBeWrittenLeavesTheOldOnesWhole() throws IOException {
        Path out = folder.resolve("out");
        Path aside = folder.resolve("aside");
        try (Trainer trainer =
                new Trainer(model(lora()), data, null, resumable().build())) {
            trainer.output(out, false);
            assertThatThrownBy(() -> trainer.train(new TrainListener() {
                        @Override
                        public void onStep(StepMetrics metrics) {
                            if (metrics.step() == 3) {
                                replaceByFile(out, aside);
                            }
                        }
                    }))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining(out.toString());
        }
        assertThat(out).isRegularFile();
        Files.delete(out);
        Files.move(aside, out);
        try (Trainer trainer =
                new Trainer(model(lora()), data, null, resumable().build())) {
            assertThat(trainer.output(out, true).stepsDone()).isEqualTo(2);
        }
    }

    private static void replaceByFile(Path out, Path aside) {
        try {
            Files.move(out, aside);
            Files.writeString(out, "in the way");
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void aHalfWrittenCheckpointIsNoCheckpoint() throws IOException {
        Path out = folder.resolve("out");
        run(model(lora()), out, false, 2);
        Files.createDirectories(out.resolve("checkpoint-7"));
        Files.createDirectories(out.resolve(".checkpoint-8.partial"));
        assertThat(TrainerState.newest(out)).contains(out.resolve("checkpoint-2"));
        assertThat(TrainerState.newest(folder.resolve("none"))).isEmpty();
    }

    @Test
    void anOutputThatIsAFileIsNamed() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "x");
        try (Trainer trainer = new Trainer(model(lora()), data, null, config().build())) {
            assertThatThrownBy(() -> trainer.output(file, false))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining(file.toString());
        }
    }

    @Test
    void rowsWithNothingToLearnAreNamed() {
        Example masked = new Example(new int[] {1, 2, 3}, new int[] {1, -100, -100});
        LoraModel model = model(lora());
        assertThatThrownBy(() -> train(model, List.of(masked), config().build()))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("none of its 1 rows has a token to learn");
        assertThat(train(model, List.of(masked, data.getFirst()), config().build()))
                .as("one masked row among others does no harm")
                .hasSize(1);
        assertThatThrownBy(() -> new Trainer(model, List.of(), null, config().build()))
                .isInstanceOf(InputException.class);
        assertThatThrownBy(() -> evaluate(List.of(masked), 1)).isInstanceOf(InputException.class);
    }

    // ---- evaluation

    private EvalMetrics evaluate(List<Example> rows, int batchSize) {
        LoraModel model = model(lora().dropout(0.5));
        TinyModels.randomise(model.adapter(), engine, 2);
        return Evaluator.evaluate(model, rows, batchSize);
    }

    @Test
    void evaluationDoesNotDependOnTheBatchSize() {
        EvalMetrics one = evaluate(data, 1);
        assertThat(one.tokens())
                .isEqualTo(data.stream().mapToInt(Example::targets).sum());
        assertThat(one.perplexity()).isEqualTo(Math.exp(one.loss()));
        for (int batchSize : new int[] {2, 3, 10, 50}) {
            EvalMetrics other = evaluate(data, batchSize);
            assertThat(other.tokens()).isEqualTo(one.tokens());
            assertThat(other.loss()).isCloseTo(one.loss(), within(1e-6));
        }
    }

    @Test
    void evaluatingInARunDoesNotDisturbIt() {
        LoraModel plain = model(lora());
        train(plain, config().steps(4).build());
        LoraModel evaluated = model(lora());
        List<Example> longer = TinyModels.rows(5, 30, 1);
        List<Double> losses = new ArrayList<>();
        try (Trainer trainer = new Trainer(
                evaluated, data, longer, config().steps(4).evalEvery(3).build())) {
            trainer.train(new TrainListener() {
                @Override
                public void onEvaluation(int step, EvalMetrics metrics) {
                    losses.add(metrics.loss());
                }
            });
        }
        assertThat(losses).as("after step 3 and at the end").hasSize(2).doesNotContain(Double.NaN);
        assertThat(values(evaluated)).isEqualTo(values(plain));
    }
}
