package dev.graft.data;

import static dev.graft.data.Fixtures.tokenizer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.common.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against values of the Rust library's Python binding, as scripts/reference/tiny_tokenizers.py wrote them down. */
class TokenizerTest {
    @ParameterizedTest
    @ValueSource(strings = {"bytes", "metaspace"})
    void encodesAndDecodesAsTheReference(String name) throws IOException {
        JsonNode rows = new ObjectMapper()
                .readTree(tokenizer(name).resolve("encodings.json").toFile());
        assertThat(rows).hasSizeGreaterThan(20);
        try (Tokenizer tokenizer = Tokenizer.load(tokenizer(name))) {
            for (JsonNode row : rows) {
                String text = row.get("text").asText();
                boolean special = row.get("special").asBoolean();
                int[] ids = ints(row.get("ids"));
                assertThat(tokenizer.encode(text, special)).as(text).isEqualTo(ids);
                assertThat(tokenizer.decode(ids, false))
                        .isEqualTo(row.get("decoded").asText());
                assertThat(tokenizer.decode(ids, true))
                        .isEqualTo(row.get("decoded_plain").asText());
                if (!special) {
                    checkPlaces(tokenizer.encodeLocated(text), text, ids, row.get("offsets"));
                }
            }
        }
    }

    private static void checkPlaces(Tokenizer.Located located, String text, int[] ids, JsonNode offsets) {
        assertThat(located.ids()).isEqualTo(ids);
        for (int i = 0; i < ids.length; i++) {
            int start = text.offsetByCodePoints(0, offsets.get(i).get(0).asInt());
            int end = text.offsetByCodePoints(0, offsets.get(i).get(1).asInt());
            assertThat(located.starts()[i])
                    .as("start of token %d of %s", i, text)
                    .isEqualTo(start);
            assertThat(located.ends()[i]).as("end of token %d of %s", i, text).isEqualTo(end);
        }
    }

    @Test
    void neverTruncatesOrPadsThoughTheFileAsksForIt() throws IOException {
        assertThat(Files.readString(tokenizer("bytes").resolve("tokenizer.json")))
                .contains("\"max_length\": 8");
        try (Tokenizer tokenizer = Tokenizer.load(tokenizer("bytes"))) {
            assertThat(tokenizer.encode("x".repeat(1001), true)).hasSize(1001);
            assertThat(tokenizer.encode("x", true)).hasSize(1);
        }
    }

    @Test
    void knowsItsSpecialTokens() {
        try (Tokenizer bytes = Tokenizer.load(tokenizer("bytes"));
                Tokenizer metaspace = Tokenizer.load(tokenizer("metaspace"))) {
            assertThat(bytes.vocabSize()).isEqualTo(267);
            assertThat(bytes.eosIds()).containsExactly(266, 264); // the tokenizer's own first
            assertThat(bytes.bosId()).isEmpty();
            assertThat(bytes.padId()).hasValue(264);
            assertThat(bytes.isEos(266)).isTrue();
            assertThat(bytes.isEos(265)).isFalse();
            assertThat(metaspace.vocabSize()).isEqualTo(302);
            assertThat(metaspace.bosId()).hasValue(1);
            assertThat(metaspace.eosIds()).containsExactly(2); // an object in special_tokens_map.json
            assertThat(metaspace.padId()).isEmpty();
        }
    }

    @Test
    void takesTheEndTokenOfTheModelConfigWhereNoOtherFileNamesOne(@TempDir Path dir) throws IOException {
        copy("metaspace", dir, "tokenizer.json");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            assertThat(tokenizer.eosIds()).isEmpty();
        }
        Files.writeString(dir.resolve("config.json"), "{\"eos_token_id\": [2, 5]}");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            assertThat(tokenizer.eosIds()).containsExactly(2, 5);
        }
        Files.writeString(dir.resolve("generation_config.json"), "{\"eos_token_id\": 7}");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            assertThat(tokenizer.eosIds()).containsExactly(7);
        }
        Files.writeString(dir.resolve("generation_config.json"), "{\"eos_token_id\": \"x\"}");
        assertThatThrownBy(() -> Tokenizer.load(dir))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("eos_token_id");
    }

    @Test
    void readsTheVocabularyOfUnigramModels(@TempDir Path dir) throws IOException {
        Files.writeString(dir.resolve("tokenizer.json"), """
                {"version": "1.0", "truncation": null, "padding": null,
                 "added_tokens": [{"id": 4, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false,
                                   "normalized": false, "special": true}],
                 "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
                 "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
                           "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -1.5], ["ab", -1.2]]}}
                """);
        Files.writeString(dir.resolve("tokenizer_config.json"), "{\"bos_token\": \"b\", \"eos_token\": \"<end>\"}");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            assertThat(tokenizer.vocabSize()).isEqualTo(5);
            assertThat(tokenizer.bosId()).hasValue(2);
            assertThat(tokenizer.eosIds()).containsExactly(4);
            assertThat(tokenizer.encode("aba<end>", false)).containsExactly(3, 1, 4);
        }
    }

    @Test
    void refusesMissingAndBrokenFilesNamingThem(@TempDir Path dir) throws IOException {
        assertThatThrownBy(() -> Tokenizer.load(dir))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(dir.toString())
                .hasMessageContaining("input_ids");
        for (String broken : List.of("", "[]", "{", "{}", "{\"model\": {\"type\": \"Nosuch\"}}")) {
            Files.writeString(dir.resolve("tokenizer.json"), broken);
            assertThatThrownBy(() -> Tokenizer.load(dir))
                    .as(broken)
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("tokenizer.json");
        }
        Files.delete(dir.resolve("tokenizer.json"));
        copy("bytes", dir, "tokenizer.json");
        Files.writeString(dir.resolve("tokenizer_config.json"), "{\"a\": 1,\n }");
        assertThatThrownBy(() -> Tokenizer.load(dir))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("tokenizer_config.json:2");
    }

    @Test
    void refusesHalfCharactersAndNegativeIds() {
        try (Tokenizer tokenizer = Tokenizer.load(tokenizer("bytes"))) {
            for (String half : List.of("a\uD800", "\uDC00b", "\uD800\uD800")) {
                assertThatThrownBy(() -> tokenizer.encode(half, false)).isInstanceOf(InputException.class);
                assertThatThrownBy(() -> tokenizer.encodeLocated(half)).isInstanceOf(InputException.class);
            }
            assertThatIllegalArgumentException().isThrownBy(() -> tokenizer.decode(new int[] {1, -1}, true));
        }
    }

    @Test
    void closesOnce() {
        Tokenizer tokenizer = Tokenizer.load(tokenizer("bytes"));
        tokenizer.close();
        tokenizer.close();
        assertThatIllegalStateException().isThrownBy(() -> tokenizer.encode("x", false));
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes", "metaspace"})
    void streamsWholeCharactersThatAddUpToTheText(String name) {
        try (Tokenizer tokenizer = Tokenizer.load(tokenizer(name))) {
            for (String text : List.of("hello hello  world", " a\nb\n\n", "Zürich 👋🏽 日本 hello", "👋👋")) {
                int[] ids = tokenizer.encode(text, false);
                StreamDecoder decoder = tokenizer.streamDecoder();
                StringBuilder all = new StringBuilder();
                for (int id : ids) {
                    String piece = decoder.next(id);
                    assertThat(piece).doesNotContain("\uFFFD");
                    all.append(piece);
                }
                assertThat(decoder.finish()).isEmpty();
                assertThat(all).hasToString(text);
            }
        }
    }

    @Test
    void streamsTheSpaceAfterAPromptAndSkipsSpecialTokens() {
        try (Tokenizer tokenizer = Tokenizer.load(tokenizer("metaspace"))) {
            int[] prompt = tokenizer.encode("a hello", true);
            int hello = tokenizer.encode("hello", false)[0];
            assertThat(tokenizer.streamDecoder(prompt).next(hello)).isEqualTo(" hello");
            assertThat(tokenizer.streamDecoder().next(hello)).isEqualTo("hello");
            StreamDecoder decoder = tokenizer.streamDecoder(prompt);
            List<String> pieces = new ArrayList<>();
            for (int id : new int[] {hello, 2, 2, hello}) {
                pieces.add(decoder.next(id));
            }
            assertThat(pieces).containsExactly(" hello", "", "", " hello");
        }
    }

    @Test
    void givesOutTheRestOfAnUnfinishedCharacter() {
        try (Tokenizer tokenizer = Tokenizer.load(tokenizer("bytes"))) {
            int[] wave = tokenizer.encode("x👋", false);
            StreamDecoder decoder = tokenizer.streamDecoder();
            assertThat(decoder.next(wave[0])).isEqualTo("x");
            assertThat(decoder.next(wave[1])).isEmpty();
            assertThat(decoder.next(wave[2])).isEmpty();
            assertThat(decoder.finish()).isEqualTo("\uFFFD");
        }
    }

    private static void copy(String from, Path dir, String file) throws IOException {
        Files.copy(tokenizer(from).resolve(file), dir.resolve(file));
    }

    private static int[] ints(JsonNode array) {
        int[] values = new int[array.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = array.get(i).asInt();
        }
        return values;
    }
}
