package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.data.Tokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.engine.Precision;
import dev.graft.io.Json;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FullModel;
import dev.graft.model.KnownShape;
import dev.graft.tensor.DType;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Text in and text out, on a tiny random model with a byte-level tokenizer and a chat template. */
class TextModelTest {
    private static final Path TOKENIZER = Path.of("../graft-core/src/test/resources/dev/graft/data/tokenizers/bytes");
    private static final Path TEMPLATE =
            Path.of("../graft-core/src/test/resources/dev/graft/data/templates/chatml.jinja");
    private static final String ANSWER = "Grüß 🌍!";

    @TempDir
    private static Path folder;

    private static Path model;
    private static Path adapter;

    @BeforeAll
    static void trainOneAnswer() throws java.io.IOException {
        model = folder.resolve("model");
        DecoderConfig like = KnownShape.SMOLLM2_135M.config();
        DecoderConfig tiny = new DecoderConfig(
                like.architecture(),
                272,
                64,
                128,
                2,
                4,
                2,
                16,
                1e-5f,
                new dev.graft.nn.Rope(10_000, 16, new dev.graft.nn.RopeScaling.None()),
                256,
                true,
                false,
                false,
                false,
                false,
                Collections.nCopies(2, 0),
                List.of(266));
        try (Engine engine = Engines.open("cpu");
                FullModel random = FullModel.random(tiny, engine, Precision.F32, DType.BF16, 1)) {
            random.save(model);
        }
        for (String file : List.of("tokenizer.json", "tokenizer_config.json")) {
            Files.copy(TOKENIZER.resolve(file), model.resolve(file));
        }
        Files.copy(TEMPLATE, model.resolve("chat_template.jinja"));
        Path data = folder.resolve("chat.jsonl");
        Cli.write(
                data,
                Json.mapper()
                        .createObjectNode()
                        .set(
                                "messages",
                                Json.mapper()
                                        .createArrayNode()
                                        .add(Json.mapper()
                                                .createObjectNode()
                                                .put("role", "user")
                                                .put("content", "Hello"))
                                        .add(Json.mapper()
                                                .createObjectNode()
                                                .put("role", "assistant")
                                                .put("content", ANSWER)))
                        .toString());
        adapter = folder.resolve("adapter");
        Cli.run(
                        "train --rank 16 --lr 5e-3 --steps 60 --precision f32 --targets",
                        ".*",
                        "--model",
                        model,
                        "--data",
                        data,
                        "--out",
                        adapter)
                .ok();
    }

    @Test
    void chatStreamsTheAnswerUpToTheEndToken() {
        Cli.Outcome outcome = Cli.run(
                        "generate --precision f32 --chat --prompt Hello --model", model, "--adapter", adapter)
                .ok();
        assertThat(outcome.out()).isEqualTo(ANSWER + System.lineSeparator());
        assertThat(outcome.err()).contains("stopped by end token");
    }

    @Test
    void jsonTellsTextTokensAndWhyItStopped() {
        JsonNode json = Cli.run(
                        "generate --json --precision f32 --chat --prompt Hello --max-new-tokens 4 --model",
                        model,
                        "--adapter",
                        adapter)
                .json();
        assertThat(json.path("ids")).hasSize(4);
        assertThat(json.path("stop").asText()).isEqualTo("length");
        double tokensPerSecond = json.path("tokens_per_second").asDouble();
        double firstTokenMillis = json.path("first_token_ms").asDouble();
        assertThat(firstTokenMillis).isPositive().isLessThan(4 / tokensPerSecond * 1e3);
        assertThat(json.path("token_ms").asDouble())
                .isPositive()
                .isLessThanOrEqualTo((4 / tokensPerSecond * 1e3 - firstTokenMillis) / 2);
        int[] ids = json.path("ids").valueStream().mapToInt(JsonNode::asInt).toArray();
        try (Tokenizer tokenizer = Tokenizer.load(model)) {
            assertThat(json.path("text").asText()).isEqualTo(tokenizer.decode(ids, true));
        }
    }

    @Test
    void promptFromFileAndStandardInputAreTheSame() {
        String text = "Once\n upon";
        Path file = Cli.write(folder.resolve("prompt.txt"), text);
        String generate = "generate --precision f32 --max-new-tokens 8 --model";
        String fromFile = Cli.run(generate, model, "--prompt-file", file).ok().out();
        InputStream before = System.in;
        System.setIn(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
        try {
            assertThat(Cli.run(generate, model, "--prompt-file", "-").ok().out())
                    .isEqualTo(fromFile);
        } finally {
            System.setIn(before);
        }
    }

    @Test
    void samplingDependsOnTheSeedAlone() {
        String generate = "generate --json --temperature 1.5 --top-k 50 --top-p 0.95 --max-new-tokens 12 --prompt a";
        JsonNode first = Cli.run(generate, "--seed 1 --model", model).json().path("ids");
        assertThat(Cli.run(generate, "--seed 1 --model", model).json().path("ids"))
                .isEqualTo(first);
        assertThat(Cli.run(generate, "--seed 2 --model", model).json().path("ids"))
                .isNotEqualTo(first);
    }

    @Test
    void textsForTheWrongFlags() {
        assertThat(Cli.run("generate --prompt a --system b --model", model).complaint())
                .contains("--chat");
        assertThat(Cli.run("generate --chat --input-ids 1 --model", model).complaint())
                .contains("--prompt");
        assertThat(Cli.run("generate --prompt a --temperature -1 --model", model)
                        .complaint())
                .contains("--temperature -1");
        assertThat(Cli.run("generate --prompt a --max-new-tokens 0 --model", model)
                        .complaint())
                .contains("--max-new-tokens 0");
        assertThat(Cli.run("generate --input-ids 1,999 --model", model).complaint())
                .contains("999")
                .contains("vocabulary");
    }

    @Test
    void inspectSeesTokenizerAndTemplate() {
        JsonNode facts = Cli.run("inspect --json", model).json();
        assertThat(facts.path("chat_template").asBoolean()).isTrue();
        assertThat(facts.path("tokenizer").asBoolean()).isTrue();
        assertThat(facts.path("tied_embeddings").asBoolean()).isTrue();
        assertThat(facts.path("tensors_by_dtype").path("BF16").asInt()).isPositive();
    }

    @Test
    void adaptedTiedHeadCannotBeMergedAndSaysSo() {
        assertThat(Cli.run("merge --model", model, "--adapter", adapter, "--out", folder.resolve("merged"))
                        .complaint())
                .contains("lm_head");
    }

    @Test
    void rowsLongerThanTheModelAreWarnedOf() {
        Path data = Cli.write(folder.resolve("long.jsonl"), "{\"text\": \"" + "ab ".repeat(150) + "\"}\n");
        Cli.Outcome outcome = Cli.run("train --steps 1 --model", model, "--data", data, "--out", folder.resolve("long"))
                .ok();
        assertThat(outcome.err()).contains("graft: warning: ").contains("--seq-len 256");
        Cli.Outcome cut = Cli.run(
                        "train --steps 1 --seq-len 100 --model", model, "--data", data, "--out", folder.resolve("cut"))
                .ok();
        assertThat(cut.err()).contains("1 of 1 rows are longer than 100 tokens and were cut");
    }
}
