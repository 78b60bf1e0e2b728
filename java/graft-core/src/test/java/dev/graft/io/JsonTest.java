package dev.graft.io;

import static dev.graft.io.Fixtures.assertInputError;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.common.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void nameFile() {
        file = folder.resolve("config.json");
    }

    @ParameterizedTest
    @ValueSource(strings = {"adapter_config", "awkward", "scalar"})
    void prettyIsPythonsText(String name) throws IOException {
        JsonNode value = Json.read(Fixtures.python(name + ".json"));
        assertThat(Json.pretty(value)).isEqualTo(Files.readString(Fixtures.python(name + ".pretty.json")));
    }

    @Test
    void floatsArePythonsRepr() throws IOException {
        List<String> lines = Files.readAllLines(Fixtures.python("float-reprs.txt"));
        assertThat(lines).hasSizeGreaterThan(200).allSatisfy(line -> {
            String[] pair = line.split(" ");
            double value = Double.longBitsToDouble(HexFormat.fromHexDigitsToLong(pair[0]));
            assertThat(PythonJson.repr(value)).isEqualTo(pair[1]);
        });
        assertThat(PythonJson.repr(Double.NaN)).isEqualTo("NaN");
        assertThat(PythonJson.repr(Double.NEGATIVE_INFINITY)).isEqualTo("-Infinity");
        assertThat(PythonJson.repr(Double.POSITIVE_INFINITY)).isEqualTo("Infinity");
    }

    @Test
    void prettyTakesMapsListsAndRecords() {
        record Config(int r, double alpha, List<String> targets) {}
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("z", new Config(8, 16, List.of("q_proj")));
        value.put("a", null);
        value.put("f", 0.5f);
        assertThat(Json.pretty(value)).isEqualTo("""
                        {
                          "a": null,
                          "f": 0.5,
                          "z": {
                            "alpha": 16.0,
                            "r": 8,
                            "targets": [
                              "q_proj"
                            ]
                          }
                        }""");
        assertThatThrownBy(() -> Json.pretty(new byte[1])).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void readsUtf8WithAndWithoutAByteOrderMark() throws IOException {
        Files.writeString(file, "{\"k\":\"\u00e9\"}");
        assertThat(Json.readObject(file).get("k").textValue()).isEqualTo("\u00e9");
        Files.writeString(file, "\uFEFF{\"k\":1}");
        assertThat(Json.readObject(file).get("k").intValue()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"a\":1,|line 2 column",
                "{\"a\":1,\"a\":2}|Duplicate",
                "{\"a\":1} 2|line 1 column",
                "{\"a\":NaN}|Non-standard token 'NaN'; correct",
                "{'a':1}|line 1 column 2",
            })
    void faultsNameFileLineAndColumn(String text, String expected) throws IOException {
        Files.writeString(file, text + "\n");
        assertInputError(file, () -> Json.read(file)).contains("config.json line ", expected, "; correct the JSON");
    }

    @Test
    void refusesWhatIsNoJsonObject() throws IOException {
        Files.writeString(file, "[1]");
        assertInputError(file, () -> Json.readObject(file)).contains("not array");
        Files.writeString(file, "");
        assertInputError(file, () -> Json.read(file)).contains("empty");
        Files.write(file, new byte[] {'"', (byte) 0xe9, '"'});
        assertInputError(file, () -> Json.read(file)).contains("UTF-8");
        Files.delete(file);
        assertInputError(file, () -> Json.read(file)).contains("does not exist");
        assertInputError(folder, () -> Json.read(folder)).contains("is a folder");
    }

    @Test
    void textCarriesTheNameItsCallerGives() {
        assertThat(Json.parseObject("{\"text\":\"x\"}", "data.jsonl line 7")
                        .get("text")
                        .textValue())
                .isEqualTo("x");
        assertThatThrownBy(() -> Json.parseObject("{\"text\":}", "data.jsonl line 7"))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("data.jsonl line 7");
    }
}
