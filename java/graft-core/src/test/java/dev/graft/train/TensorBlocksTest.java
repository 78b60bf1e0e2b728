package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensors of more than one block, of exactly one, of less. */
class TensorBlocksTest {
    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();

    private static Tensor tensor(Workspace workspace, int length) {
        return workspace.tensor(MemoryKind.TRAINABLE, "values", DType.F32, 1, length);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 1000, TensorBlocks.BLOCK, TensorBlocks.BLOCK + 1, 2 * TensorBlocks.BLOCK + 17})
    void everyNumberComesBackInItsPlace(int length) {
        Path file = folder.resolve("state.safetensors");
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = i * 0.25f - 3;
        }
        try (Workspace workspace = new Workspace(engine)) {
            Tensor source = tensor(workspace, length);
            engine.upload(values, source);
            SafetensorsWriter.write(file, Map.of(), List.of(TensorBlocks.entry(engine, "values", source)));
            Tensor target = tensor(workspace, length);
            try (SafetensorsFile stored = SafetensorsFile.open(file)) {
                assertThat(stored.info("values").shape()).containsExactly((long) length);
                TensorBlocks.restore(engine, stored, "values", target);
            }
            assertThat(engine.download(target)).isEqualTo(values);
        }
    }

    @Test
    void anotherLengthIsRefused() {
        Path file = folder.resolve("state.safetensors");
        try (Workspace workspace = new Workspace(engine)) {
            Tensor source = tensor(workspace, 5);
            SafetensorsWriter.write(file, Map.of(), List.of(TensorBlocks.entry(engine, "values", source)));
            try (SafetensorsFile stored = SafetensorsFile.open(file)) {
                assertThatThrownBy(() -> TensorBlocks.restore(engine, stored, "values", tensor(workspace, 6)))
                        .isInstanceOf(InputException.class)
                        .hasMessageContaining("values has 5 numbers, this run trains 6")
                        .hasMessageContaining("the same model and flags");
            }
        }
    }
}
