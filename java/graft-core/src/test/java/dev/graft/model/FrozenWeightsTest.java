package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.tensor.DType;
import dev.graft.testing.TinyModels;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A checkpoint must hold exactly what its configuration calls for. */
class FrozenWeightsTest {
    private static final String UP = "model.layers.1.mlp.up_proj.weight";

    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();
    private final List<SafetensorsWriter.Entry> extra = new ArrayList<>();

    @BeforeEach
    void writeModel() {
        TinyModels.write(folder, TinyModels.config(Architecture.MISTRAL), engine, DType.F32, 1);
    }

    /** Writes the model again with some tensors changed; null leaves one out. */
    private void rewrite(UnaryOperator<SafetensorsWriter.@Nullable Entry> change) {
        try (SafetensorsFile file = SafetensorsFile.open(folder.resolve("model.safetensors"))) {
            List<SafetensorsWriter.Entry> entries = new ArrayList<>(extra);
            file.tensors().values().forEach(info -> {
                SafetensorsWriter.Entry changed = change.apply(
                        SafetensorsWriter.Entry.of(info.name(), info.dtype(), info.shape(), file.data(info.name())));
                if (changed != null) {
                    entries.add(changed);
                }
            });
            SafetensorsWriter.write(folder.resolve("model.safetensors"), Map.of("format", "pt"), entries);
        }
    }

    private static SafetensorsWriter.Entry zeros(String name, DType dtype, long... shape) {
        long size = dtype.byteSize();
        List<Long> dims = new ArrayList<>();
        for (long dim : shape) {
            size *= dim;
            dims.add(dim);
        }
        return SafetensorsWriter.Entry.of(name, dtype, dims, MemorySegment.ofArray(new byte[(int) size]));
    }

    private void assertRefused(String... parts) {
        long before = engine.availableBytes();
        assertThatThrownBy(() -> PretrainedModel.load(folder, engine, Precision.BF16))
                .isInstanceOf(InputException.class)
                .hasMessageContainingAll(parts)
                .message()
                .doesNotContain("\n");
        assertThat(engine.availableBytes()).isEqualTo(before);
    }

    @Test
    void missingWeightsAreNamed() {
        rewrite(entry -> entry.name().contains("layers.1.mlp") ? null : entry);
        assertRefused(folder.toString(), "model.layers.1.mlp.gate_proj.weight", UP, "missing");
        rewrite(entry -> entry.name().contains("layers.1") ? null : entry);
        assertRefused("and 6 more missing");
    }

    @Test
    void weightsWithoutAPlaceAreNamed() {
        extra.add(zeros("model.layers.0.self_attn.q_proj.bias", DType.F32, 24));
        rewrite(entry -> entry);
        assertRefused("model.layers.0.self_attn.q_proj.bias", "no place");
    }

    @Test
    void wrongShapesAndTypesAreNamed() {
        rewrite(entry -> entry.name().equals(UP) ? zeros(UP, DType.F32, 20, 28) : entry);
        assertRefused(UP, "[20, 28]", "[28, 20]");
        rewrite(entry -> entry.name().equals(UP) ? zeros(UP, DType.I8, 28, 20) : entry);
        assertRefused(UP, "I8", "BF16");
        rewrite(entry -> entry.name().equals(UP) ? zeros(UP, DType.F32, 28 * 20) : entry);
        assertRefused(UP, "[560]", "[28, 20]");
    }

    @Test
    void whatOtherExportersAddIsLeftAside() {
        TinyModels.write(folder, TinyModels.config(Architecture.LLAMA, true, List.of(0, 0)), engine, DType.F32, 1);
        extra.add(zeros("lm_head.weight", DType.F32, TinyModels.VOCABULARY, 20));
        extra.add(zeros("model.layers.0.self_attn.rotary_emb.inv_freq", DType.F32, 3));
        rewrite(entry -> entry);
        try (PretrainedModel model = PretrainedModel.load(folder, engine, Precision.F32)) {
            assertThat(model.config().tiedEmbeddings()).isTrue();
        }
    }

    @Test
    void aFailedLoadFreesWhatItTook() {
        assertThat(loadBytes()).isPositive();
        ReferenceEngine small = new ReferenceEngine();
        var taken = small.allocate(small.availableBytes() - loadBytes() / 2);
        long before = small.availableBytes();
        assertThatThrownBy(() -> PretrainedModel.load(folder, small, Precision.BF16))
                .isInstanceOf(InputException.class);
        assertThat(small.availableBytes()).isEqualTo(before);
        taken.close();
    }

    private long loadBytes() {
        long before = engine.availableBytes();
        try (PretrainedModel model = PretrainedModel.load(folder, engine, Precision.BF16)) {
            assertThat(model.precision()).isEqualTo(Precision.BF16);
            return before - engine.availableBytes();
        }
    }
}
