package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.engine.EngineProvider;
import dev.graft.engine.Engines;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LinearModule;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.ModulePattern;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.ConfigReader;
import dev.graft.model.Decoder;
import dev.graft.testing.Deltas;
import dev.graft.train.ParityCase;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** train, eval, merge and generate reach PEFT's numbers from PEFT's starting point, typed as commands. */
class TrainLikePeftTest {
    /** The reference itself moves by 1e-6 when PyTorch sums in another order. */
    private static final Percentage CLOSE = Percentage.withPercentage(0.01);

    @TempDir
    private Path folder;

    /** Every architecture and kind of adapter once more on the emulated GPU, which is slower. */
    private static final List<String> EMULATED = List.of(
            "llama_tied_alllinear",
            "llama_sharded_bf16",
            "qwen2_window",
            "qwen3",
            "lora_accum",
            "lora_pissa",
            "lora_plus");

    private String engine = "";

    static Stream<Arguments> cases() {
        return Stream.concat(
                ParityCase.all().map(parity -> Arguments.of("cpu", parity)),
                EMULATED.stream().map(name -> Arguments.of("cuda-emulated", ParityCase.named(name))));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void everyCommand(String engineName, ParityCase parity) {
        engine = engineName;
        requireEngine(engine);
        Path adapter = folder.resolve("the adapter");
        JsonNode result = Cli.run(
                        "train --json --verify-frozen --steps 12 --engine",
                        engine,
                        Cli.flags(parity),
                        "--model",
                        parity.model(),
                        "--data",
                        Cli.data(parity),
                        start(parity),
                        "--out",
                        adapter)
                .json();
        assertThat(result.path("trainable_parameters").asLong())
                .isEqualTo(parity.expected().path("trainable_parameters").asLong());
        assertThat(result.path("frozen_unchanged").asBoolean()).isTrue();
        checkLosses(adapter, parity);
        checkWeights(adapter, parity);

        assertThat(evaluate(parity.model(), parity)).isCloseTo(parity.number("base_eval_loss"), CLOSE);
        assertThat(evaluate(parity.model(), parity, "--adapter", adapter))
                .isCloseTo(parity.number("final_eval_loss"), CLOSE);
        checkGeneration(adapter, parity);
        if (parity.expected().has("merged_eval_loss")) {
            checkMerge(adapter, parity);
        }
    }

    /** The adapter that the reference run began with, or the flags by which it takes over a part of the base. */
    private static String start(ParityCase parity) {
        AdapterInit init = parity.init();
        if (init == null) {
            return "--init-adapter " + parity.initialAdapter();
        }
        LoraConfig lora = parity.lora();
        String targets = String.join(",", ((ModulePattern.Suffixes) lora.targets()).names());
        return "--init " + init + " --rank " + lora.rank() + " --alpha " + lora.alpha() + " --targets " + targets
                + (lora.rsLora() ? " --rslora" : "")
                + pattern("--rank-pattern", lora.rankPattern())
                + pattern("--alpha-pattern", lora.alphaPattern());
    }

    private static String pattern(String flag, Map<String, ?> pattern) {
        return pattern.entrySet().stream()
                .map(entry -> " " + flag + " " + entry.getKey() + "=" + entry.getValue())
                .collect(Collectors.joining());
    }

    /** The emulator is only there where CMake and a C++ compiler were when Graft was built. */
    private static void requireEngine(String name) {
        Engines.providers().stream()
                .filter(provider -> provider.name().equals(name))
                .findFirst()
                .flatMap(EngineProvider::unavailableReason)
                .ifPresent(reason -> abort(name + ": " + reason));
    }

    private static void checkLosses(Path adapter, ParityCase parity) {
        List<JsonNode> steps = Cli.metrics(adapter, "loss");
        JsonNode expected = parity.expected().path("steps");
        assertThat(steps).hasSize(expected.size());
        for (int i = 0; i < steps.size(); i++) {
            assertThat(steps.get(i).path("loss").asDouble())
                    .as("loss of step " + (i + 1))
                    .isCloseTo(expected.get(i).path("loss").asDouble(), CLOSE);
        }
    }

    private static void checkWeights(Path adapter, ParityCase parity) {
        Map<String, float[]> expected = PeftAdapter.read(parity.finalAdapter()).weights();
        Map<String, float[]> actual = PeftAdapter.read(adapter).weights();
        assertThat(actual).hasSameSizeAs(expected);
        if (parity.init() != null) {
            // directions may have other signs; what they add to the base has not
            List<LinearModule> modules = Decoder.linearModules(ConfigReader.read(parity.model()));
            Map<String, float[]> deltas = Deltas.of(PeftAdapter.read(adapter), modules);
            Deltas.of(PeftAdapter.read(parity.finalAdapter()), modules)
                    .forEach((name, values) ->
                            assertThat(deltas.get(name)).as(name).containsExactly(values, within(2e-5f)));
            return;
        }
        expected.forEach(
                (name, values) -> assertThat(actual.get(name)).as(name).containsExactly(values, within(2e-5f)));
    }

    /** In batches like the reference's: with dynamic rotary scaling the longest row of a batch matters to the others. */
    private double evaluate(Path model, ParityCase parity, Object... more) {
        return Cli.run(Stream.concat(
                                Stream.of(
                                        "eval --json --precision f32 --engine",
                                        engine,
                                        "--batch-size",
                                        parity.expected().path("train").path("batch_size"),
                                        "--model",
                                        model,
                                        "--data",
                                        Cli.data(parity)),
                                Stream.of(more))
                        .toArray())
                .json()
                .path("loss")
                .asDouble();
    }

    private void checkGeneration(Path adapter, ParityCase parity) {
        JsonNode greedy = parity.expected().path("greedy");
        List<String> ids = words(greedy.path("new_tokens"));
        Cli.Outcome outcome = Cli.run(
                        "generate --precision f32 --engine",
                        engine,
                        "--max-new-tokens",
                        ids.size(),
                        "--input-ids",
                        String.join(",", words(greedy.path("prompt_ids"))),
                        "--model",
                        parity.model(),
                        "--adapter",
                        adapter)
                .ok();
        assertThat(outcome.out()).isEqualTo(String.join(" ", ids) + System.lineSeparator());
    }

    private static List<String> words(JsonNode numbers) {
        return numbers.valueStream().map(JsonNode::asText).toList();
    }

    private void checkMerge(Path adapter, ParityCase parity) {
        Path merged = folder.resolve("merged");
        JsonNode result = Cli.run(
                        "merge --json --engine",
                        engine,
                        "--model",
                        parity.model(),
                        "--adapter",
                        adapter,
                        "--out",
                        merged)
                .json();
        assertThat(result.path("merged_tensors").asInt())
                .isEqualTo(parity.expected().path("matched_modules").size()
                        + parity.expected().path("saved_weights").size());
        // rounding to a bf16 checkpoint moves the loss, which PEFT merged in float32
        boolean rounds = result.path("largest_rounding").asDouble() > 0;
        assertThat(evaluate(merged, parity))
                .isCloseTo(parity.number("merged_eval_loss"), rounds ? Percentage.withPercentage(0.5) : CLOSE);
    }
}
