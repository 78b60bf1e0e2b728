package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.io.Checkpoint;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.ModulesToSave;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.SavedWeight;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.LanguageModel;
import dev.graft.model.LoraModel;
import dev.graft.model.ModelMerger;
import dev.graft.model.PretrainedModel;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.testing.TinyModels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Modules that are trained whole beside LoRA, from their start to a merged checkpoint. */
class SavedModulesTest {
    private static final DecoderConfig UNTIED = TinyModels.config(Architecture.LLAMA);
    private static final DecoderConfig TIED = TinyModels.config(Architecture.QWEN2, true, List.of(0, 0));

    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();
    private final List<Example> data = TinyModels.rows(8, 9, 8);

    private PretrainedModel open(DecoderConfig config, DType stored, Precision precision) {
        Path model = folder.resolve("base");
        if (!Files.exists(model)) {
            TinyModels.write(model, config, engine, stored, 6);
        }
        return PretrainedModel.load(model, engine, precision);
    }

    private PretrainedModel open(DecoderConfig config) {
        return open(config, DType.F32, Precision.F32);
    }

    private static LoraConfig lora(boolean keepTies, String... modules) {
        return LoraConfig.builder()
                .rank(2)
                .targets("q_proj,down_proj")
                .modulesToSave(new ModulesToSave(List.of(modules), keepTies))
                .build();
    }

    private static TrainConfig steps(int steps, int saveEvery) {
        return TrainConfig.builder()
                .batchSize(2)
                .steps(steps)
                .learningRate(5e-3)
                .saveEvery(saveEvery)
                .build();
    }

    private void train(LoraModel model, int steps) {
        try (Trainer trainer = new Trainer(model, data, null, steps(steps, 0))) {
            trainer.train(step -> {});
        }
    }

    private double loss(LanguageModel model) {
        return Evaluator.evaluate(model, data, 3).loss();
    }

    private float[] values(LoraModel model, String weight) {
        SavedWeight saved = model.adapter().savedWeight(weight);
        return engine.download(model.parameters().value(saved.slot()));
    }

    @ParameterizedTest
    @EnumSource(Precision.class)
    void trainingStartsAtTheBaseAndLeavesItAlone(Precision precision) {
        try (PretrainedModel base = open(UNTIED, DType.BF16, precision)) {
            double before = loss(base);
            long fingerprint = base.residentFingerprint();
            LoraModel model = base.attach(lora(false, "lm_head", "embed_tokens", "norm", "k_proj"), 1);
            assertThat(loss(model)).isEqualTo(before);
            train(model, 6);
            assertThat(loss(model)).isLessThan(0.98 * before);
            assertThat(loss(base)).isEqualTo(before);
            assertThat(base.residentFingerprint()).isEqualTo(fingerprint);
        }
    }

    /** Weights of a float32 checkpoint that is computed in bf16 are not rounded on their way into the adapter. */
    @Test
    void copiesHaveTheCheckpointsPrecision() {
        try (PretrainedModel base = open(UNTIED, DType.F32, Precision.BF16)) {
            LoraModel model = base.attach(lora(false, "lm_head"), 1);
            float[] stored = HostFloats.read(base.checkpoint().data("lm_head.weight"), DType.F32, 0, 37 * 20);
            assertThat(values(model, "lm_head.weight")).isEqualTo(stored);
        }
        try (PretrainedModel random = PretrainedModel.random(TIED, engine, Precision.F32, 3)) {
            LoraModel model = random.attach(lora(false, "lm_head"), 1);
            assertThat(values(model, "lm_head.weight")).doesNotContain(0f);
        }
    }

    @ParameterizedTest
    @CsvSource({"false, lm_head", "false, embed_tokens", "true, embed_tokens"})
    void savedAdaptersReadBackBitByBit(boolean keepTies, String module) {
        try (PretrainedModel base = open(TIED)) {
            LoraModel model = base.attach(lora(keepTies, module, "model.norm", "v_proj"), 1);
            train(model, 2);
            model.save(folder.resolve("adapter"));
            LoraModel read = base.attach(PeftAdapter.read(folder.resolve("adapter")), false);
            assertThat(engine.download(read.parameters().values()))
                    .isEqualTo(engine.download(model.parameters().values()));
            assertThat(loss(read)).isEqualTo(loss(model));
            assertThat(read.adapter().config().modulesToSave())
                    .isEqualTo(model.adapter().config().modulesToSave());
        }
    }

    @Test
    void aResumedRunEndsWithTheSameBits() {
        LoraConfig config = lora(false, "lm_head", "input_layernorm");
        try (PretrainedModel base = open(UNTIED)) {
            LoraModel whole = base.attach(config, 1);
            train(whole, 5);
            Path out = folder.resolve("out");
            LoraModel first = base.attach(config, 1);
            try (Trainer trainer = new Trainer(first, data, null, steps(5, 3)).output(out, false)) {
                trainer.train(step -> {
                    if (step.step() == 3) {
                        trainer.requestStop();
                    }
                });
            }
            LoraModel second = base.attach(config, 2);
            try (Trainer trainer = new Trainer(second, data, null, steps(5, 3)).output(out, true)) {
                assertThat(trainer.stepsDone()).isEqualTo(3);
                trainer.train(step -> {});
            }
            assertThat(engine.download(second.parameters().values()))
                    .isEqualTo(engine.download(whole.parameters().values()));
            LoraModel other = base.attach(lora(false, "lm_head"), 1);
            try (Trainer trainer = new Trainer(other, data, null, steps(5, 3))) {
                assertThatThrownBy(() -> trainer.output(out, true))
                        .isInstanceOf(InputException.class)
                        .hasMessageContaining("modules_to_save [lm_head, input_layernorm], now it is [lm_head]");
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16"})
    void mergedCheckpointsHaveTheTrainedWeights(DType stored) {
        try (PretrainedModel base = open(UNTIED, stored, Precision.F32)) {
            LoraModel model = base.attach(lora(false, "lm_head", "norm"), 1);
            train(model, 4);
            ModelMerger.Result result = ModelMerger.merge(model, folder.resolve("merged"));
            assertThat(result.mergedTensors()).isEqualTo(4 + 1 + 5);
            try (PretrainedModel merged = PretrainedModel.load(folder.resolve("merged"), engine, Precision.F32);
                    Checkpoint checkpoint = Checkpoint.open(folder.resolve("merged"))) {
                for (String name : List.of("lm_head.weight", "model.norm.weight")) {
                    assertThat(checkpoint.info(name).dtype()).isEqualTo(stored);
                    float[] trained = values(model, name);
                    for (int i = 0; i < trained.length; i++) {
                        trained[i] = HostFloats.round(trained[i], stored);
                    }
                    assertThat(HostFloats.read(checkpoint.data(name), stored, 0, trained.length))
                            .isEqualTo(trained);
                }
                assertThat(loss(merged)).isCloseTo(loss(model), within(stored == DType.F32 ? 1e-5 : 1e-2));
            }
        }
    }

    @Test
    void tiesThatAreKeptCanBeMerged() {
        try (PretrainedModel base = open(TIED)) {
            LoraModel model = base.attach(lora(true, "lm_head"), 1);
            train(model, 4);
            ModelMerger.merge(model, folder.resolve("merged"));
            try (PretrainedModel merged = PretrainedModel.load(folder.resolve("merged"), engine, Precision.F32)) {
                assertThat(loss(merged)).isCloseTo(loss(model), within(1e-5));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "lm_head, lm_head which shares its weights with the embedding",
        "embed_tokens, embed_tokens which shares its weights with the output head"
    })
    void tiesThatAreBrokenCannot(String module, String reason) {
        try (PretrainedModel base = open(TIED)) {
            LoraModel model = base.attach(lora(false, module), 1);
            assertThatThrownBy(() -> ModelMerger.merge(model, folder.resolve("merged")))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining(reason.replace(" which", ", which"))
                    .hasMessageContaining("untie");
            assertThat(folder.resolve("merged")).doesNotExist();
        }
    }

    @Test
    void severalAtOnceAreRefused() {
        try (PretrainedModel base = open(UNTIED)) {
            List<JointTrainer.Member> members = new ArrayList<>();
            members.add(new JointTrainer.Member(base.attach(lora(false, "model.norm"), 1), steps(2, 0)));
            try (JointTrainer alone = new JointTrainer(members, data)) {
                alone.train(step -> {});
            }
            members.add(new JointTrainer.Member(base.attach(lora(false), 2), steps(2, 0)));
            assertThatThrownBy(() -> new JointTrainer(members, data))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("one at a time (--at-once 1)");
        }
    }

    @Test
    void filesThatDoNotFitAreRefused() {
        try (PretrainedModel base = open(TIED)) {
            Path file = folder.resolve("adapter/adapter_model.safetensors");
            base.attach(lora(true, "lm_head"), 1).save(folder.resolve("adapter"));
            rewrite(file, "base_model.model.lm_head.weight", List.of(37L, 20L));
            requireRefused(base, "lm_head.weight and model.embed_tokens.weight differ");
            rewrite(file, "base_model.model.lm_head.weight", List.of(74L, 10L));
            requireRefused(base, "lm_head.weight has shape [74, 10], this base model needs [37, 20]");
            rewrite(file, "base_model.model.model.norm.weight", List.of(20L));
            requireRefused(base, "tensors that the model has no place for, such as model.norm.weight");
            rewrite(file, "base_model.model.lm_head.weight", null);
            requireRefused(base, "missing tensors, such as lm_head.weight");
            assertThatThrownBy(() -> base.attach(lora(false, "lm_heed"), 1))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("--modules-to-save 'lm_heed'");
        }
    }

    private void requireRefused(PretrainedModel base, String reason) {
        PeftAdapter adapter = PeftAdapter.read(folder.resolve("adapter"));
        assertThatThrownBy(() -> base.attach(adapter, true))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(reason)
                .hasMessageContaining("adapter");
        base.attach(lora(true, "lm_head"), 1).save(folder.resolve("adapter"));
    }

    /** Replaces a tensor by zeros of a shape, adds it, or takes it out. */
    private static void rewrite(Path file, String tensor, List<Long> shape) {
        List<SafetensorsWriter.Entry> entries = new ArrayList<>();
        try (SafetensorsFile read = SafetensorsFile.open(file)) {
            for (String name : read.names()) {
                if (!name.equals(tensor)) {
                    entries.add(SafetensorsWriter.Entry.of(
                            name,
                            DType.F32,
                            read.info(name).shape(),
                            MemorySegment.ofArray(read.data(name).toArray(ValueLayout.JAVA_BYTE))));
                }
            }
        }
        if (shape != null) {
            long numbers = shape.stream().mapToLong(Long::longValue).reduce(1, (a, b) -> a * b);
            entries.add(SafetensorsWriter.Entry.of(
                    tensor, DType.F32, shape, MemorySegment.ofArray(new byte[Math.toIntExact(4 * numbers)])));
        }
        SafetensorsWriter.write(file, Map.of("format", "pt"), entries);
    }
}
