package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.io.Checkpoint;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.LoraModule;
import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.testing.TinyModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Merged checkpoints, bit by bit. */
class ModelMergerTest {
    private static final Path SHARDED = Path.of("src/test/resources/parity/llama_sharded_bf16/model");

    @TempDir
    Path out;

    private final ReferenceEngine engine = new ReferenceEngine();

    @Test
    void shardsKeepTheirFormAndAreRoundedOnce() throws IOException {
        try (PretrainedModel base = PretrainedModel.load(SHARDED, engine, Precision.BF16)) {
            LoraModel model = base.attach(
                    LoraConfig.builder()
                            .rank(3)
                            .alpha(5)
                            .targets("q_proj,down_proj")
                            .build(),
                    0);
            TinyModels.randomise(model.adapter(), engine, 2);
            ModelMerger.Result result = ModelMerger.merge(model, out);
            assertThat(result.mergedTensors()).isEqualTo(4);
            double largest = 0;
            long bytes = 0;
            try (Checkpoint merged = Checkpoint.open(out)) {
                assertThat(merged.names()).isEqualTo(base.checkpoint().names());
                assertThat(merged.files()).hasSameSizeAs(base.checkpoint().files());
                for (String name : merged.names()) {
                    assertThat(merged.info(name).dtype()).isEqualTo(DType.BF16);
                    bytes += merged.info(name).byteSize();
                    LoraModule module = model.adapter().module(name.replace(".weight", ""));
                    if (module == null) {
                        assertThat(merged.data(name).mismatch(base.checkpoint().data(name)))
                                .as(name)
                                .isEqualTo(-1);
                    } else {
                        largest = Math.max(largest, checkMerged(model, module, merged, name));
                    }
                }
            }
            assertThat(result.bytes()).isEqualTo(bytes);
            assertThat(result.largestRounding()).isEqualTo(largest).isPositive();
            for (String other : List.of("config.json", "generation_config.json", "model.safetensors.index.json")) {
                assertThat(Files.mismatch(out.resolve(other), SHARDED.resolve(other)))
                        .as(other)
                        .isEqualTo(-1);
            }
        }
    }

    /** W0 + s Σ b a, in float32, then rounded; returns the largest rounding. */
    private double checkMerged(LoraModel model, LoraModule module, Checkpoint merged, String name) {
        int in = module.module().in();
        int count = in * module.module().out();
        float[] original = HostFloats.read(model.base().checkpoint().data(name), DType.BF16, 0, count);
        float[] stored = HostFloats.read(merged.data(name), DType.BF16, 0, count);
        float[] a = engine.download(model.adapter().parameters().value(module.a()));
        float[] b = engine.download(model.adapter().parameters().value(module.b()));
        double largest = 0;
        for (int i = 0; i < count; i++) {
            float delta = 0;
            for (int r = 0; r < 3; r++) {
                delta += b[i / in * 3 + r] * a[r * in + i % in];
            }
            float exact = original[i] + 5f / 3 * delta;
            assertThat(stored[i]).as(name + " " + i).isEqualTo(BFloat16.round(exact));
            largest = Math.max(largest, Math.abs(stored[i] - exact));
        }
        return largest;
    }

    @Test
    void float32IsNotRoundedAtAll() {
        Path base = TinyModels.write(out.resolve("base"), TinyModels.config(Architecture.LLAMA), engine, DType.F32, 1);
        try (PretrainedModel model = PretrainedModel.load(base, engine, Precision.F32)) {
            LoraModel adapted = model.attach(LoraConfig.builder().rank(2).build(), 0);
            TinyModels.randomise(adapted.adapter(), engine, 3);
            assertThat(ModelMerger.merge(adapted, out.resolve("merged")).largestRounding())
                    .isZero();
        }
    }

    @Test
    void theBasesOwnFolderIsRefused() throws IOException {
        Path folder =
                TinyModels.write(out.resolve("base"), TinyModels.config(Architecture.LLAMA), engine, DType.F32, 1);
        byte[] before = Files.readAllBytes(folder.resolve("model.safetensors"));
        Path link = Files.createSymbolicLink(out.resolve("link"), folder.toAbsolutePath());
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            LoraModel model = base.attach(LoraConfig.builder().rank(2).build(), 0);
            for (Path same : List.of(folder, link, folder.resolve("../base"))) {
                assertThatThrownBy(() -> ModelMerger.merge(model, same))
                        .isInstanceOf(InputException.class)
                        .hasMessageContaining("own folder");
            }
        }
        assertThat(Files.readAllBytes(folder.resolve("model.safetensors"))).isEqualTo(before);
    }

    @Test
    void aFileInTheWayIsNamed() throws IOException {
        Path folder =
                TinyModels.write(out.resolve("base"), TinyModels.config(Architecture.LLAMA), engine, DType.F32, 1);
        Path file = Files.writeString(out.resolve("file"), "here");
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            LoraModel model = base.attach(LoraConfig.builder().rank(2).build(), 0);
            assertThatThrownBy(() -> ModelMerger.merge(model, file.resolve("merged")))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining(file.toString());
        }
        assertThat(file).hasContent("here");
    }

    @Test
    void aTiedHeadIsNotMerged() {
        Path folder = TinyModels.write(
                out.resolve("base"), TinyModels.config(Architecture.QWEN2, true, List.of(0, 0)), engine, DType.F32, 1);
        try (PretrainedModel base = PretrainedModel.load(folder, engine, Precision.F32)) {
            LoraModel model =
                    base.attach(LoraConfig.builder().targets("q_proj,lm_head").build(), 0);
            assertThatThrownBy(() -> ModelMerger.merge(model, out.resolve("merged")))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("lm_head")
                    .hasMessageContaining("untie");
            assertThat(out.resolve("merged")).doesNotExist();
        }
    }
}
