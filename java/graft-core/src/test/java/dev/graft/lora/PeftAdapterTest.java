package dev.graft.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.io.Json;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.model.ConfigReader;
import dev.graft.model.Decoder;
import dev.graft.tensor.DType;
import dev.graft.testing.Deltas;
import dev.graft.testing.TinyModels;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** PEFT's files, read and written. */
class PeftAdapterTest {
    private static final Path PEFT_FILES = Path.of("src/test/resources/peft-files");
    private static final Path PARITY = Path.of("src/test/resources/parity");
    private static final long FINGERPRINT = 0x123456789abcdef0L;

    @TempDir
    Path folder;

    private final Engine engine = new ReferenceEngine();
    private final Workspace workspace = new Workspace(engine);

    /** The modules of the model that the PEFT files belong to: {@code llama_basic}. */
    private static List<LinearModule> modules() {
        List<LinearModule> modules = new ArrayList<>();
        for (int layer = 0; layer < 2; layer++) {
            String name = "model.layers." + layer + ".";
            modules.add(new LinearModule(name + "self_attn.q_proj", 40, 40, false));
            modules.add(new LinearModule(name + "self_attn.k_proj", 20, 40, false));
            modules.add(new LinearModule(name + "self_attn.v_proj", 20, 40, false));
            modules.add(new LinearModule(name + "self_attn.o_proj", 40, 40, false));
            modules.add(new LinearModule(name + "mlp.gate_proj", 72, 40, false));
            modules.add(new LinearModule(name + "mlp.up_proj", 72, 40, false));
            modules.add(new LinearModule(name + "mlp.down_proj", 40, 72, false));
        }
        modules.add(new LinearModule("lm_head", 101, 40, true));
        return modules;
    }

    private static List<SavableWeight> weights() {
        return Decoder.savableWeights(ConfigReader.read(PARITY.resolve("llama_basic/model")));
    }

    private LoraAdapter adapter(LoraConfig config) {
        return adapter(config, TargetMatcher.match(config, modules()));
    }

    private LoraAdapter adapter(LoraConfig config, List<TargetMatcher.Match> matches) {
        LoraAdapter adapter = LoraAdapter.create(config, matches, workspace, Precision.F32, false);
        TinyModels.randomise(adapter, engine, 7);
        return adapter;
    }

    private Map<String, float[]> valuesOf(LoraAdapter adapter) {
        Map<String, float[]> values = new LinkedHashMap<>();
        adapter.parameters()
                .slots()
                .forEach(slot -> values.put(
                        slot.name(), engine.download(adapter.parameters().value(slot))));
        return values;
    }

    /** {@code target_modules} and {@code exclude_modules} are sets in PEFT, so their order means nothing. */
    private static JsonNode withSetsSorted(JsonNode config) {
        for (String field : List.of("target_modules", "exclude_modules")) {
            if (config.path(field) instanceof ArrayNode array) {
                TreeSet<String> names = new TreeSet<>();
                array.forEach(name -> names.add(name.asText()));
                ((ObjectNode) config).putPOJO(field, null);
                ((ObjectNode) config).set(field, Json.mapper().valueToTree(names));
            }
        }
        return config;
    }

    @ParameterizedTest
    @ValueSource(strings = {"default", "gaussian", "patterns", "all_linear", "saved", "dora"})
    void peftsFilesComeOutAsTheyWentIn(String name) throws IOException {
        PeftAdapter read = PeftAdapter.read(PEFT_FILES.resolve(name));
        read.checkSaved(weights());
        LoraAdapter adapter =
                LoraAdapter.create(read.config(), read.matches(modules()), weights(), workspace, Precision.F32, false);
        adapter.setWeights(engine, read.weights());
        PeftAdapter.write(folder, adapter, engine, "example/tiny-llama", FINGERPRINT);

        String theirs = Files.readString(PEFT_FILES.resolve(name).resolve("adapter_config.json"));
        String ours = Files.readString(folder.resolve("adapter_config.json"));
        assertThat(withSetsSorted(Json.parse(ours, "ours"))).isEqualTo(withSetsSorted(Json.parse(theirs, "theirs")));
        assertThat(ours.lines().sorted().map(line -> line.replace(",", "")))
                .as("byte form: indent, spaces, number forms")
                .containsExactlyElementsOf(theirs.lines()
                        .sorted()
                        .map(line -> line.replace(",", ""))
                        .toList());
        assertThat(ours).endsWith("}");
        assertThat(ours.lines().filter(line -> line.startsWith("  \""))).isSorted();
        try (SafetensorsFile a = SafetensorsFile.open(PEFT_FILES.resolve(name).resolve("adapter_model.safetensors"));
                SafetensorsFile b = SafetensorsFile.open(folder.resolve("adapter_model.safetensors"))) {
            assertThat(b.metadata()).containsEntry("format", "pt").hasSize(2);
            assertThat(b.names()).containsExactlyInAnyOrderElementsOf(a.names());
            for (String tensor : a.names()) {
                assertThat(b.info(tensor).shape()).isEqualTo(a.info(tensor).shape());
                assertThat(b.info(tensor).dtype()).isEqualTo(DType.F32);
                assertThat(b.data(tensor).mismatch(a.data(tensor))).isEqualTo(-1);
            }
        }
    }

    @Test
    void aConfigurationOfThreeFieldsLoads() {
        LoraConfig config = PeftAdapter.read(PEFT_FILES.resolve("bare")).config();
        assertThat(config.alpha()).isEqualTo(8);
        assertThat(config.dropout()).isZero();
        LoraConfig minimal = read("{\"peft_type\": \"LORA\", \"target_modules\": [\"q_proj\"], \"r\": 5}");
        assertThat(minimal)
                .isEqualTo(LoraConfig.builder()
                        .rank(5)
                        .alpha(8)
                        .targets("q_proj")
                        .init(AdapterInit.KAIMING)
                        .build());
    }

    private LoraConfig read(String json) {
        try {
            Path file = folder.resolve("adapter_config.json");
            Files.writeString(file, json);
            return PeftConfigFile.read(file).config();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '|',
            value = {
                "bias, |\"all\"|",
                "bias, |\"lora_only\"|",
                "modules_to_save, |\"lm_head\"|",
                "modules_to_save, |[\"lm head\"]|",
                "lora_bias, true",
                "fan_in_fan_out, true",
                "layers_to_transform, |[0, 1]|",
                "layers_to_transform, 0",
                "layer_replication, |[[0, 4], [2, 5]]|",
                "trainable_token_indices, |[1, 2]|",
                "target_parameters, |[\"experts.weight\"]|",
                "alora_invocation_tokens, |[1]|",
                "arrow_config, |{\"top_k\": 2}|",
                "use_qalora, true",
                "use_bdlora, |{\"x\": 1}|",
                "kasa_config, |{\"beta\": 1}|",
                "velora_config, |{\"x\": 1}|",
                "monteclora_config, |{\"x\": 1}|",
                "init_lora_weights, |\"pissa\"|",
                "init_lora_weights, |\"pissa_niter_16\"|",
                "init_lora_weights, |\"olora\"|",
                "init_lora_weights, |\"loftq\"|",
                "peft_type, |\"IA3\"|",
                "r, |\"four\"|",
                "r, 2.5",
                "r, 0",
                "lora_alpha, |\"8\"|",
                "lora_dropout, |\"none\"|",
                "lora_dropout, 1.0",
                "rank_pattern, |{\"q_proj\": \"x\"}|",
                "alpha_pattern, |{\"q_proj(\": 2}|",
                "target_modules, null",
                "target_modules, []",
                "target_modules, |\"*\"|",
            })
    void whatChangesTheMathsIsRefusedByName(String field, String value) {
        ObjectNode json = Json.parseObject(
                "{\"peft_type\": \"LORA\", \"target_modules\": [\"q_proj\"], \"r\": 4, \"lora_alpha\": 8}", "test");
        json.set(field, Json.parse(value, "test"));
        String named = switch (field) {
            case "r" -> value.equals("0") ? "--rank 0" : "r:";
            case "lora_dropout" -> value.equals("1.0") ? "--dropout" : field;
            case "target_modules" -> value.contains("*") ? "target modules" : field;
            case "modules_to_save" -> value.contains("[") ? "'lm head'" : field;
            default -> field;
        };
        assertThatThrownBy(() -> read(json.toString()))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(named)
                .message()
                .doesNotContain("\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"use_dora", "lora_bias", "fan_in_fan_out", "use_qalora"})
    void unusedFieldsAreFine(String field) {
        assertThat(read("{\"peft_type\": \"LORA\", \"target_modules\": \".*q_proj\", \"" + field
                                + "\": false, \"modules_to_save\": null, \"layers_to_transform\": [], \"new\": 3}")
                        .targets())
                .isEqualTo(new ModulePattern.Regex(".*q_proj"));
    }

    @Test
    void writtenAdaptersReadBackBitByBit() {
        LoraConfig config = LoraConfig.builder()
                .rank(3)
                .alpha(0.5)
                .dropout(0.1)
                .rsLora(true)
                .dora(true)
                .targets("all-linear")
                .exclude(ModulePattern.parse("layers.0.mlp.up_proj,k_proj"))
                .rankPattern(Map.of("down_proj", 2))
                .alphaPattern(Map.of("q_proj", 1e-5))
                .build();
        LoraAdapter adapter = adapter(config);
        PeftAdapter.write(folder, adapter, engine, "base", FINGERPRINT);
        PeftAdapter read = PeftAdapter.read(folder);
        assertThat(read.matches(modules())).isEqualTo(TargetMatcher.match(config, modules()));
        assertThat(read.weights()).usingRecursiveComparison().isEqualTo(valuesOf(adapter));
        assertThat(read.base().model()).isEqualTo("base");
        assertThat(read.base().fingerprint()).isEqualTo(FINGERPRINT);
        assertThat(read.config().dropout()).isEqualTo(0.1);
        assertThat(read.config().rsLora()).isTrue();
        assertThat(read.config().useDora()).isTrue();
        assertThat(read.shapes().get("model.layers.0.mlp.down_proj.lora_magnitude_vector"))
                .isEqualTo(List.of(40));
        assertThat(read.config().init()).isEqualTo(AdapterInit.GAUSSIAN);
        assertThat(read.config().targets())
                .as("all-linear is written out, since another reader may count other layers")
                .isEqualTo(new ModulePattern.Suffixes(
                        List.of("down_proj", "gate_proj", "o_proj", "q_proj", "up_proj", "v_proj")));
    }

    @Test
    void whatTookOverAPartOfTheBaseIsWrittenAsPlainLora() {
        LoraConfig config = LoraConfig.builder()
                .rank(2)
                .alpha(5)
                .targets("q_proj,v_proj")
                .rankPattern(Map.of("v_proj", 1))
                .alphaPattern(Map.of("v_proj", 3.0))
                .init(new AdapterInit.RandomisedPissa(4))
                .build();
        LoraAdapter adapter = adapter(config);
        Map<String, float[]> began = valuesOf(adapter);
        Map<String, LowRankFactors> start = new LinkedHashMap<>();
        adapter.modules()
                .forEach(module -> start.put(
                        module.name(),
                        new LowRankFactors(
                                module.rank(),
                                began.get(module.a().name()),
                                began.get(module.b().name()))));
        adapter.takeOver(engine, start);
        TinyModels.randomise(adapter, engine, 8);
        PeftAdapter.write(folder, adapter, engine, "base", FINGERPRINT);
        PeftAdapter read = PeftAdapter.read(folder);
        assertThat(read.convertedFrom()).isEqualTo("pissa_niter_4");
        assertThat(read.config().init()).isEqualTo(AdapterInit.KAIMING);
        assertThat(read.config().rank()).isEqualTo(4);
        assertThat(read.config().alpha()).isEqualTo(10);
        assertThat(read.config().rankPattern()).isEqualTo(Map.of("v_proj", 2));
        assertThat(read.config().alphaPattern()).isEqualTo(Map.of("v_proj", 6.0));
        LoraModule module = adapter.modules().getFirst();
        float[] now = valuesOf(adapter).get(module.b().name());
        float[] before = start.get(module.name()).b();
        float[] both = read.weights().get(module.b().name());
        for (int row = 0; row < module.module().out(); row++) {
            assertThat(Arrays.copyOfRange(both, row * 4, row * 4 + 4))
                    .containsExactly(now[row * 2], now[row * 2 + 1], -before[row * 2], -before[row * 2 + 1]);
        }
        assertThat(Deltas.of(read, modules())).usingRecursiveComparison().isEqualTo(Deltas.of(adapter, engine));
    }

    @Test
    void patternsWhoseOrderMattersSurviveTheSortingOfKeys() {
        Map<String, Integer> ranks = new LinkedHashMap<>();
        ranks.put("v_proj", 2);
        ranks.put("layers\\.1\\.self_attn\\.v_proj", 7);
        LoraConfig config =
                LoraConfig.builder().targets("q_proj,v_proj").rankPattern(ranks).build();
        PeftAdapter.write(folder, adapter(config), engine, "base", FINGERPRINT);
        assertThat(PeftAdapter.read(folder).matches(modules())).isEqualTo(TargetMatcher.match(config, modules()));
    }

    @Test
    void missingUnexpectedAndMisshapenTensorsAreNamed() {
        LoraConfig two = LoraConfig.builder().rank(2).targets("q_proj,v_proj").build();
        LoraConfig one = LoraConfig.builder().rank(2).targets("q_proj").build();
        PeftAdapter.write(folder, adapter(one), engine, "base", FINGERPRINT);
        PeftAdapter read = PeftAdapter.read(folder);
        assertThatThrownBy(() -> with(read, two).matches(modules()))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("4 missing tensors, such as model.layers.0.self_attn.v_proj.lora_A.weight")
                .hasMessageContaining("base");
        PeftAdapter.write(folder, adapter(two), engine, "base", FINGERPRINT);
        assertThatThrownBy(() -> with(PeftAdapter.read(folder), one).matches(modules()))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("4 tensors that the model has no place for")
                .hasMessageContaining("v_proj.lora_A.weight");
        List<LinearModule> wider = modules().stream()
                .map(module -> new LinearModule(module.name(), module.out() + 2, module.in(), module.isHead()))
                .toList();
        assertThatThrownBy(() -> read.matches(wider))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("model.layers.0.self_attn.q_proj.lora_B.weight has shape [40, 2]")
                .hasMessageContaining("needs [42, 2]");
    }

    @Test
    void magnitudesAndTheConfigurationMustAgree() {
        LoraConfig lora = LoraConfig.builder().rank(2).targets("q_proj").build();
        LoraConfig dora =
                LoraConfig.builder().rank(2).targets("q_proj").dora(true).build();
        PeftAdapter.write(folder, adapter(lora), engine, "base", FINGERPRINT);
        assertThatThrownBy(() -> with(PeftAdapter.read(folder), dora).matches(modules()))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(
                        "2 missing tensors, such as model.layers.0.self_attn.q_proj.lora_magnitude_vector");
        PeftAdapter.write(folder, adapter(dora), engine, "base", FINGERPRINT);
        assertThatThrownBy(() -> with(PeftAdapter.read(folder), lora).matches(modules()))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("2 tensors that the model has no place for")
                .hasMessageContaining("lora_magnitude_vector");
    }

    private static PeftAdapter with(PeftAdapter read, LoraConfig config) {
        return new PeftAdapter(read.folder(), config, read.weights(), read.shapes(), read.base(), null);
    }

    @Test
    void theBaseItWasTrainedOnIsChecked() {
        LoraConfig config = LoraConfig.builder().targets("q_proj").build();
        PeftAdapter.write(folder, adapter(config), engine, "base", FINGERPRINT);
        PeftAdapter read = PeftAdapter.read(folder);
        read.base().check(folder, FINGERPRINT, "here");
        assertThatThrownBy(() -> read.base().check(folder, 1, "here"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("123456789abcdef0")
                .hasMessageContaining("here has 0000000000000001")
                .hasMessageContaining("--force");
        PeftAdapter.read(PEFT_FILES.resolve("default")).base().check(folder, 1, "here");
    }

    @Test
    void theFrozenHeadThatPeftStoresIsLeftOut() {
        Path adapter = PARITY.resolve("lora_head_target/adapter_final");
        try (SafetensorsFile file = SafetensorsFile.open(adapter.resolve("adapter_model.safetensors"))) {
            assertThat(file.names()).anyMatch(name -> name.endsWith("lm_head.base_layer.weight"));
        }
        PeftAdapter read = PeftAdapter.read(adapter);
        assertThat(read.weights().keySet()).noneMatch(name -> name.contains("base_layer"));
        assertThat(read.matches(modules())).anyMatch(match -> match.module().isHead());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
                "base_model.model.lm_head.weight",
                "model.layers.0.self_attn.q_proj.lora_A.weight",
                "base_model.model.model.layers.0.self_attn.q_proj.lora_embedding_A",
            })
    void otherTensorsAreRefusedByName(String name) {
        LoraConfig config = LoraConfig.builder().targets("q_proj").build();
        PeftAdapter.write(folder, adapter(config), engine, "base", FINGERPRINT);
        SafetensorsWriter.write(
                folder.resolve("adapter_model.safetensors"),
                Map.of("format", "pt"),
                List.of(SafetensorsWriter.Entry.of(
                        name, DType.F32, List.of(2L, 2L), MemorySegment.ofArray(new byte[16]))));
        assertThatThrownBy(() -> PeftAdapter.read(folder))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(name)
                .hasMessageContaining("adapter_model.safetensors");
    }

    @Test
    void missingFilesAreNamed() throws IOException {
        assertThatThrownBy(() -> PeftAdapter.read(folder.resolve("none")))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("none");
        assertThatThrownBy(() -> PeftAdapter.read(folder))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("adapter_config.json");
        Files.copy(PEFT_FILES.resolve("default/adapter_config.json"), folder.resolve("adapter_config.json"));
        assertThatThrownBy(() -> PeftAdapter.read(folder))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("adapter_model.safetensors");
    }
}
