package dev.graft.bottleneck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.bottleneck.BottleneckConfig.Placement;
import dev.graft.common.InputException;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.io.Json;
import dev.graft.io.SafetensorsFile;
import dev.graft.nn.FlatParameters;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Files in the naming of AdapterHub's {@code adapters}. */
class BottleneckFileTest {
    private static final Path REFERENCE =
            Path.of("src/test/resources/bottleneck-parity/lora_accum/start").toAbsolutePath();
    private static final BottleneckFile.Base BASE =
            new BottleneckFile.Base("llama", "LlamaForCausalLM", "some/base", 0x1234);

    @TempDir
    Path folder;

    private final ReferenceEngine engine = new ReferenceEngine();

    private void write(BottleneckConfig config, int hiddenSize) {
        try (Workspace workspace = new Workspace(engine)) {
            BottleneckAdapter adapter =
                    BottleneckAdapter.create(config, hiddenSize, 2, workspace, Precision.F32, false);
            adapter.initialise(engine, 3);
            BottleneckFile.write(folder, adapter, engine, BASE);
        }
    }

    @ParameterizedTest
    @EnumSource
    void readsWhatItWrote(Placement placement) {
        BottleneckConfig config = new BottleneckConfig(7, placement);
        write(config, 20);
        assertThat(BottleneckFile.isAt(folder)).isTrue();
        BottleneckFile saved = BottleneckFile.read(folder);
        assertThat(saved.config()).isEqualTo(config);
        assertThat(saved.hiddenSize()).isEqualTo(20);
        assertThat(saved.base().model()).isEqualTo("some/base");
        assertThat(saved.base().fingerprint()).isEqualTo(0x1234);
        saved.requireFits(20, 2);
        assertThat(saved.weights().keySet())
                .containsExactlyInAnyOrderElementsOf(BottleneckAdapter.slots(config, 20, 2).stream()
                        .map(FlatParameters.Slot::name)
                        .toList());
        assertThat(saved.weights().get("model.layers.1.output_adapters.adapter_up.weight"))
                .containsOnly(0f)
                .hasSize(140);
        assertThat(saved.weights().get("model.layers.1.output_adapters.adapter_down.0.weight"))
                .doesNotContain(0f)
                .isNotEqualTo(saved.weights().get("model.layers.0.output_adapters.adapter_down.0.weight"));
    }

    @Test
    void tensorsAreNamedAndShapedAsInTheLibrary() {
        write(new BottleneckConfig(7, Placement.HOULSBY), 20);
        try (SafetensorsFile file = SafetensorsFile.open(folder.resolve("adapter.safetensors"))) {
            String module = "model.layers.0.attention_adapters.adapters.graft.";
            assertThat(file.info(module + "adapter_down.0.weight").shape()).isEqualTo(List.of(7L, 20L));
            assertThat(file.info(module + "adapter_down.0.bias").shape()).isEqualTo(List.of(7L));
            assertThat(file.info(module + "adapter_up.weight").shape()).isEqualTo(List.of(20L, 7L));
            assertThat(file.info(module + "adapter_up.bias").shape()).isEqualTo(List.of(20L));
            assertThat(file.tensors()).hasSize(16);
        }
    }

    /** The library's own text, less what names the adapter and its base, and its way of writing whole floats. */
    @Test
    void theConfigurationIsTheLibrarys() {
        write(new BottleneckConfig(20, Placement.HOULSBY), 40);
        ObjectNode ours = Json.readObject(folder.resolve("adapter_config.json"));
        ObjectNode theirs = Json.readObject(REFERENCE.resolve("adapter_config.json"));
        assertThat(ours.path("config").path("reduction_factor").asDouble()).isEqualTo(2);
        for (ObjectNode json : List.of(ours, theirs)) {
            json.remove(List.of("name", "model_name"));
            ((ObjectNode) json.path("config")).remove("reduction_factor");
        }
        assertThat(ours.toPrettyString()).isEqualTo(theirs.toPrettyString());
    }

    @Test
    void aPeftAdapterIsNotTakenForOne() {
        assertThat(BottleneckFile.isAt(Path.of("src/test/resources/peft-files/default")))
                .isFalse();
        assertThat(BottleneckFile.isAt(folder)).isFalse();
        assertThat(BottleneckFile.isAt(REFERENCE)).isTrue();
    }

    // ---- what is refused

    private void damageConfig(Consumer<ObjectNode> change) throws IOException {
        for (String name : List.of("adapter_config.json", "adapter.safetensors")) {
            Files.copy(REFERENCE.resolve(name), folder.resolve(name));
        }
        ObjectNode json = Json.readObject(folder.resolve("adapter_config.json"));
        change.accept(json);
        Files.writeString(folder.resolve("adapter_config.json"), json.toPrettyString());
    }

    private void assertRefused(String... parts) {
        var thrown = assertThatThrownBy(() -> BottleneckFile.read(folder))
                .isInstanceOf(InputException.class)
                .hasMessageNotContaining("\n")
                .hasMessageStartingWith(folder.toString());
        for (String part : parts) {
            thrown.hasMessageContaining(part);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "non_linearity, \"relu\"",
        "original_ln_before, true",
        "original_ln_after, false",
        "ln_after, true",
        "is_parallel, true",
        "scaling, 4.0",
        "scaling, \"learned\"",
        "use_gating, true",
        "phm_layer, true",
        "leave_out, [0]",
        "inv_adapter, \"nice\"",
        "architecture, \"lora\"",
        "output_adapter, false",
        "reduction_factor, {\"default\": 16}",
        "reduction_factor, 0",
    })
    void whatWouldComputeSomethingElse(String field, String value) throws IOException {
        damageConfig(json -> ((ObjectNode) json.path("config")).set(field, Json.parse(value, "test")));
        assertRefused(field);
    }

    @Test
    void filesOfAdapterTransformers() throws IOException {
        damageConfig(json -> json.remove("version"));
        assertRefused("version");
    }

    @Test
    void aLoraAdapter() throws IOException {
        damageConfig(json -> json.removeAll().put("peft_type", "LORA"));
        assertRefused("config", "--method adapter");
    }

    @Test
    void weightsInPickle() throws IOException {
        damageConfig(json -> {});
        Files.move(folder.resolve("adapter.safetensors"), folder.resolve("pytorch_adapter.bin"));
        assertRefused("pytorch_adapter.bin", "use_safetensors=True");
    }

    @Test
    void tensorsOfAnotherAdapter() throws IOException {
        damageConfig(json -> json.put("name", "other"));
        assertRefused("task", "other");
    }

    @Test
    void anotherBase() {
        BottleneckFile saved = BottleneckFile.read(REFERENCE);
        saved.requireFits(40, 2);
        for (int[] base : new int[][] {{40, 3}, {40, 1}, {44, 2}}) {
            assertThatThrownBy(() -> saved.requireFits(base[0], base[1]))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("another base")
                    .hasMessageNotContaining("\n");
        }
        saved.base().check(REFERENCE, 1, "base"); // the file does not tell
        write(new BottleneckConfig(7, Placement.HOULSBY), 20);
        BottleneckFile.read(folder).base().check(folder, 0x1234, "base");
        assertThatThrownBy(() -> BottleneckFile.read(folder).base().check(folder, 0x1235, "base"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("0000000000001234")
                .hasMessageContaining("--force");
    }
}
