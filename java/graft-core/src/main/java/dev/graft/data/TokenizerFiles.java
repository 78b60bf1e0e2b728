package dev.graft.data;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.graft.common.InputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What the JSON files beside a {@code tokenizer.json} say: special tokens, their ids, where text ends. */
final class TokenizerFiles {
    private static final ObjectMapper JSON = new ObjectMapper();

    private TokenizerFiles() {}

    /**
     * The special tokens by the names that chat templates know them by ({@code bos_token}, {@code eos_token} …), from
     * {@code tokenizer_config.json} and, where that is silent, {@code special_tokens_map.json}.
     */
    static Map<String, String> specialTokens(Path modelDir) {
        Map<String, String> tokens = new LinkedHashMap<>();
        for (String file : List.of("tokenizer_config.json", "special_tokens_map.json")) {
            for (Map.Entry<String, JsonNode> entry :
                    read(modelDir.resolve(file)).properties()) {
                // a token is a string, or an object with the string as its content
                JsonNode value = entry.getValue().isObject() ? entry.getValue().path("content") : entry.getValue();
                if (entry.getKey().endsWith("_token") && value.isTextual()) {
                    tokens.putIfAbsent(entry.getKey(), value.asText());
                }
            }
        }
        return tokens;
    }

    /** The {@code eos_token_id} of a config file, which is a number, a list of numbers or absent. */
    static SequencedSet<Integer> eosIds(Path configFile) {
        SequencedSet<Integer> ids = new LinkedHashSet<>();
        JsonNode value = read(configFile).path("eos_token_id");
        for (JsonNode id : value.isArray() ? value : List.of(value)) {
            if (id.canConvertToInt() && id.isIntegralNumber() && id.intValue() >= 0) {
                ids.add(id.intValue());
            } else if (!id.isMissingNode() && !id.isNull()) {
                throw new InputException(
                        configFile + ": eos_token_id must be a token id or a list of them, not " + value);
            }
        }
        return ids;
    }

    /** A JSON object file, or a missing node where there is no such file. */
    static JsonNode read(Path file) {
        if (!Files.exists(file)) {
            return MissingNode.getInstance();
        }
        try {
            JsonNode root = JSON.readTree(Files.readAllBytes(file));
            if (!root.isObject()) {
                throw new InputException(file + ": not a JSON object; copy the file from the base model again");
            }
            return root;
        } catch (JsonProcessingException e) {
            throw malformed(file, e);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }

    static InputException malformed(Path file, JsonProcessingException e) {
        String where = e.getLocation() == null ? "" : ":" + e.getLocation().getLineNr();
        return new InputException(
                file + where + ": not valid JSON (" + e.getOriginalMessage()
                        + "); copy the file from the base model again",
                e);
    }

    /**
     * What {@code tokenizer.json} says about ids.
     *
     * @param size one more than the largest id
     * @param ids the ids of the tokens that were asked for, as far as they exist
     */
    record Vocabulary(int size, Map<String, Integer> ids) {
        OptionalInt id(@Nullable String token) {
            Integer id = token == null ? null : ids.get(token);
            return id == null ? OptionalInt.empty() : OptionalInt.of(id);
        }
    }

    /** Reads {@code model.vocab} and {@code added_tokens} without building a tree of their hundreds of thousands of entries. */
    static Vocabulary vocabulary(Path file, byte[] tokenizerJson, Set<String> wanted) {
        VocabularyReader reader = new VocabularyReader(wanted);
        try (JsonParser parser = JSON.createParser(tokenizerJson)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new InputException(file + ": not a JSON object; copy the file from the base model again");
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                switch (field) {
                    case "added_tokens" -> reader.addedTokens(parser);
                    case "model" -> reader.model(parser);
                    default -> parser.skipChildren();
                }
            }
        } catch (JsonProcessingException e) {
            throw malformed(file, e);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
        return new Vocabulary(reader.size, reader.ids);
    }

    private static final class VocabularyReader {
        private final Set<String> wanted;
        private final Map<String, Integer> ids = new LinkedHashMap<>();
        private int size;

        VocabularyReader(Set<String> wanted) {
            this.wanted = wanted;
        }

        private void add(String token, int id) {
            size = Math.max(size, id + 1);
            if (wanted.contains(token)) {
                ids.put(token, id);
            }
        }

        void addedTokens(JsonParser parser) throws IOException {
            JsonNode tokens = JSON.readTree(parser);
            tokens.forEach(token ->
                    add(token.path("content").asText(), token.path("id").asInt()));
        }

        void model(JsonParser parser) throws IOException {
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                JsonToken value = parser.nextToken();
                if (field.equals("vocab") && value == JsonToken.START_OBJECT) {
                    while (parser.nextToken() == JsonToken.FIELD_NAME) {
                        String token = parser.currentName();
                        parser.nextToken();
                        add(token, parser.getIntValue());
                    }
                } else if (field.equals("vocab") && value == JsonToken.START_ARRAY) {
                    unigram(parser);
                } else {
                    parser.skipChildren();
                }
            }
        }

        /** Pairs of token and score; the position is the id. */
        private void unigram(JsonParser parser) throws IOException {
            for (int id = 0; parser.nextToken() == JsonToken.START_ARRAY; id++) {
                add(parser.nextTextValue(), id);
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    parser.skipChildren();
                }
            }
        }
    }
}
