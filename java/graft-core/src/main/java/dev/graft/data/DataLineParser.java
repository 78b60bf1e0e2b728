package dev.graft.data;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.common.InputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import org.jspecify.annotations.Nullable;

/**
 * Parses one line of a data file and decides which form it has; messages of its errors lack the file and line. Safe for
 * use by several threads.
 */
final class DataLineParser {
    private static final String FORMS =
            "a line has \"text\", or \"prompt\" and \"completion\", or \"messages\", or \"input_ids\" (and \"labels\")";
    private static final Set<String> STRINGS = Set.of("text", "prompt", "completion");
    private static final Set<String> NUMBERS = Set.of("input_ids", "labels", "attention_mask");
    private static final Set<String> LISTS = Set.of("messages", "tools");

    private final ObjectMapper json = new ObjectMapper(JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build());
    private final Set<String> unknownKeys = new ConcurrentSkipListSet<>();

    /** Keys seen so far that belong to none of the forms. */
    Set<String> unknownKeys() {
        return unknownKeys;
    }

    DataLine parse(String line) {
        Map<String, Object> fields = new HashMap<>();
        try (JsonParser parser = json.createParser(line)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new InputException("not a JSON object; " + FORMS);
            }
            while (parser.nextToken() != JsonToken.END_OBJECT) {
                String key = parser.currentName();
                parser.nextToken();
                Object value = value(key, parser);
                if (value != null) {
                    fields.put(key, value);
                }
            }
            if (parser.nextToken() != null) {
                throw new InputException("more than one JSON value on the line; put each object on a line of its own");
            }
        } catch (JsonProcessingException e) {
            throw new InputException("malformed JSON: " + firstLine(e.getOriginalMessage()) + "; correct the line", e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return form(fields);
    }

    private static String firstLine(String message) {
        return message.lines().findFirst().orElse("");
    }

    private @Nullable Object value(String key, JsonParser parser) throws IOException {
        if (STRINGS.contains(key)) {
            if (parser.currentToken() != JsonToken.VALUE_STRING) {
                throw wrongType(key, "a string", parser);
            }
            return parser.getText();
        }
        if (parser.currentToken() == JsonToken.VALUE_NULL && !key.equals("messages") && !key.equals("input_ids")) {
            return null; // optional columns of a table are written as null
        }
        if (NUMBERS.contains(key)) {
            return integers(key, parser);
        }
        if (LISTS.contains(key)) {
            if (parser.currentToken() != JsonToken.START_ARRAY) {
                throw wrongType(key, "a list", parser);
            }
            return parser.readValueAs(List.class);
        }
        parser.skipChildren();
        unknownKeys.add(key);
        return null;
    }

    private static InputException wrongType(String key, String wanted, JsonParser parser) {
        String found = switch (parser.currentToken()) {
            case START_ARRAY -> "a list";
            case START_OBJECT -> "an object";
            case VALUE_STRING -> "a string";
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "a number";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean";
            default -> "null";
        };
        return new InputException("\"" + key + "\" is " + found + "; it must be " + wanted);
    }

    private static int[] integers(String key, JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw wrongType(key, "a list of integers", parser);
        }
        int[] values = new int[64];
        int count = 0;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT
                    || parser.getNumberType() != JsonParser.NumberType.INT) {
                throw new InputException(
                        "\"" + key + "\"[" + count + "] is not a 32-bit integer; it must be a list of integers");
            }
            if (count == values.length) {
                values = Arrays.copyOf(values, count * 2);
            }
            values[count++] = parser.getIntValue();
        }
        return Arrays.copyOf(values, count);
    }

    private static DataLine form(Map<String, Object> fields) {
        boolean completion = fields.containsKey("prompt") || fields.containsKey("completion");
        boolean tokens = NUMBERS.stream().anyMatch(fields::containsKey);
        boolean chat = LISTS.stream().anyMatch(fields::containsKey);
        int forms = (fields.containsKey("text") ? 1 : 0) + (completion ? 1 : 0) + (chat ? 1 : 0) + (tokens ? 1 : 0);
        if (forms == 0) {
            throw new InputException("none of the known keys; " + FORMS);
        }
        if (forms > 1) {
            throw new InputException("keys of several forms together " + new TreeSet<>(fields.keySet()) + "; " + FORMS);
        }
        if (chat) {
            return chat(fields);
        }
        if (tokens) {
            return new DataLine.Tokens((int[]) required(fields, "input_ids"), (int[]) fields.get("labels"), (int[])
                    fields.get("attention_mask"));
        }
        return completion
                ? new DataLine.Completion((String) required(fields, "prompt"), (String) required(fields, "completion"))
                : new DataLine.Text((String) required(fields, "text"));
    }

    private static Object required(Map<String, Object> fields, String key) {
        Object value = fields.get(key);
        if (value == null) {
            throw new InputException("\"" + key + "\" is missing; " + FORMS);
        }
        return value;
    }

    @SuppressWarnings("unchecked") // Jackson's maps have string keys
    private static DataLine chat(Map<String, Object> fields) {
        List<?> messages = (List<?>) required(fields, "messages");
        if (messages.isEmpty()) {
            throw new InputException("\"messages\" is empty; give at least one message");
        }
        for (int i = 0; i < messages.size(); i++) {
            checkMessage(i, messages.get(i));
        }
        return new DataLine.Chat((List<Map<String, Object>>) messages, (List<Object>) fields.get("tools"));
    }

    /** A content may be missing only where the message calls tools instead; a list of parts is left to the template. */
    private static void checkMessage(int index, @Nullable Object message) {
        String name = "message " + (index + 1);
        if (!(message instanceof Map<?, ?> map)) {
            throw new InputException(name + " is not an object; it must be {\"role\": …, \"content\": …}");
        }
        if (!(map.get("role") instanceof String)) {
            throw new InputException(
                    name + ": \"role\" is missing or not a string; give user, assistant, system or tool");
        }
        Object content = map.get("content");
        boolean callsTools = content == null && map.get("tool_calls") instanceof List;
        if (!(content instanceof String || content instanceof List || callsTools)) {
            throw new InputException(name + ": \"content\" is missing or not a string; give the text of the message");
        }
    }
}
