package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.JsonSerializer;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.file.Files;
import java.nio.file.Path;

/** The JSON file, one key a section. Written after each section, so that a crash loses only what was under way. */
final class Report {
    private static final String PASSED = "passed";
    private static final String ERROR = "error";
    private static final String RATIOS = "ratios";

    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(SerializationFeature.INDENT_OUTPUT)
            .addModule(new SimpleModule()
                    .addSerializer(Double.class, new Rounded())
                    .addSerializer(double.class, new Rounded()))
            .build();

    private final Path file;
    private final ObjectNode root;

    private Report(Path file, ObjectNode root) {
        this.file = file;
        this.root = root;
    }

    /** A new file, or one that holds other sections already. */
    static Report open(Path file) {
        return new Report(file, Files.isRegularFile(file) ? Json.readObject(file) : MAPPER.createObjectNode());
    }

    /** Forgets what an earlier run had of a section. */
    void begin(String section) {
        if (root.remove(section) != null) {
            write();
        }
    }

    /** Takes over a section's result, and writes the file. */
    void put(String section, Object result) {
        root.set(section, MAPPER.valueToTree(result));
        write();
    }

    /** A section that could not be done, or not to its end: what it has stays. */
    void fail(String section, String reason) {
        root.withObject("/" + section).put(PASSED, false).put(ERROR, reason);
        write();
    }

    ObjectNode root() {
        return root;
    }

    /** Whether nothing in the file is wrong. */
    boolean passed() {
        for (JsonNode section : root) {
            if (!section.path(PASSED).asBoolean(true)) {
                return false;
            }
        }
        return true;
    }

    private void write() {
        root.remove(RATIOS);
        if (root.has(PytorchSection.NAME)) {
            root.set(RATIOS, MAPPER.valueToTree(Ratios.of(root)));
        }
        try {
            String text = MAPPER.writeValueAsString(root) + "\n";
            AtomicFiles.createDirectories(file.toAbsolutePath().getParent());
            AtomicFiles.writeString(file, text);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a result cannot be written as JSON", e);
        }
    }

    /** Six digits: more are noise. */
    private static final class Rounded extends JsonSerializer<Double> {
        @Override
        public void serialize(Double value, JsonGenerator json, SerializerProvider provider) throws IOException {
            if (Double.isFinite(value)) {
                json.writeNumber(new BigDecimal(value, new MathContext(6)).doubleValue());
            } else {
                json.writeString(value.toString());
            }
        }
    }
}
