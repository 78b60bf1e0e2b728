package dev.graft.benchmarks.results;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.common.InputException;
import dev.graft.io.Json;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A measurement, kept.
 *
 * @param name of the file
 * @param json what is in it
 */
record ResultFile(String name, JsonNode json) {
    /** @throws InputException where there is no such file or it is not JSON */
    static ResultFile read(Path file) {
        return new ResultFile(Objects.toString(file.getFileName()), Json.read(file));
    }

    /** What {@code scripts/…} noted of its kind; empty where the file is recognised by its form. */
    String kind() {
        return json.path("kind").asText();
    }

    /** When, on what and how it was measured. */
    String provenance() {
        String command = json.path("command").asText();
        return Stream.of(
                        json.path("date").asText(),
                        json.path("processor").asText(),
                        command.isEmpty() ? "" : "`" + command + "`",
                        "`" + name + "`")
                .filter(part -> !part.isEmpty())
                .collect(Collectors.joining(", "));
    }

    /**
     * The member of {@code parent}.
     *
     * @throws InputException where it is missing
     */
    JsonNode need(JsonNode parent, String field) {
        JsonNode value = parent.path(field);
        if (value.isMissingNode()) {
            throw new InputException(name + ": a result has no \"" + field + "\"; measure again with the same script");
        }
        return value;
    }

    /** A number; @throws InputException where there is none. */
    double number(JsonNode parent, String field) {
        JsonNode value = need(parent, field);
        if (!value.isNumber()) {
            throw new InputException(
                    name + ": \"" + field + "\" is " + value + ", not a number; measure again with the same script");
        }
        return value.asDouble();
    }
}
