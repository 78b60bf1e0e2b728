package dev.graft.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * JSON in and out. Reading is strict: UTF-8, one value, no duplicate keys; a fault is an {@link InputException} that names the
 * file, the line and the column. Writing is byte for byte what Python's {@code json} module writes.
 */
public final class Json {
    private static final String BYTE_ORDER_MARK = "\uFEFF";

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private Json() {}

    /** The one shared mapper; not to be reconfigured. */
    public static JsonMapper mapper() {
        return MAPPER;
    }

    /** The value in {@code file}, read as UTF-8 with or without a byte order mark. */
    public static JsonNode read(Path file) {
        Faults.requireFile(file);
        try {
            String text = decodeUtf8(ByteBuffer.wrap(Files.readAllBytes(file)));
            return parse(text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text, file.toString());
        } catch (CharacterCodingException e) {
            throw new InputException(file + ": not UTF-8 text; save the file as UTF-8", e);
        } catch (IOException e) {
            throw Faults.reading(file, e);
        }
    }

    /** The object in {@code file}; any other value is an error. */
    public static ObjectNode readObject(Path file) {
        return requireObject(read(file), file.toString());
    }

    /**
     * The value of {@code json}.
     *
     * @param where what the text is, for messages: a file name, or {@code "data.jsonl line 7"}
     */
    public static JsonNode parse(String json, String where) {
        JsonNode node;
        try {
            node = MAPPER.readTree(json);
        } catch (JsonProcessingException e) {
            throw new InputException(where + place(e) + ": " + reason(e) + "; correct the JSON", e);
        }
        if (node.isMissingNode()) {
            throw new InputException(where + ": empty where JSON is needed; write the file again");
        }
        return node;
    }

    /** The object that {@code json} is; any other value is an error. */
    public static ObjectNode parseObject(String json, String where) {
        return requireObject(parse(json, where), where);
    }

    /**
     * The text of Python's {@code json.dumps(value, indent=2, sort_keys=True)}: two spaces, one array element a line, keys by
     * code point, everything outside printable ASCII as backslash-u escapes, floats as Python's {@code repr}, no newline at
     * the end. A {@code float} is first widened to {@code double}, as Python has only those.
     *
     * @param value a {@link JsonNode}, map, list, record, string, number, boolean or null, nested at will
     * @throws IllegalArgumentException for what JSON has no form for, such as byte arrays
     */
    public static String pretty(Object value) {
        return PythonJson.pretty(MAPPER.valueToTree(value));
    }

    /** A number as JSON has it: null where it is infinite or none, which JSON cannot say. */
    public static @Nullable Double finite(double value) {
        return Double.isFinite(value) ? (Double) value : null;
    }

    /** Strictly decoded: bytes that are no UTF-8 are an error, not replacement characters. */
    static String decodeUtf8(ByteBuffer bytes) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    }

    /** What the parser complains of, on one line, less its advice to programmers to "enable `...` to allow". */
    static String reason(JsonProcessingException e) {
        String message = e.getOriginalMessage();
        int advice = message.indexOf(": enable `");
        return Text.oneLine(advice < 0 ? message : message.substring(0, advice));
    }

    private static String place(JsonProcessingException e) {
        JsonLocation at = e.getLocation();
        return at == null ? "" : " line " + at.getLineNr() + " column " + at.getColumnNr();
    }

    private static ObjectNode requireObject(JsonNode node, String where) {
        if (node instanceof ObjectNode object) {
            return object;
        }
        throw new InputException(where + ": a JSON object {...} is needed, not "
                + node.getNodeType().name().toLowerCase(Locale.ROOT) + "; correct the JSON");
    }
}
