package dev.graft.data;

import static dev.graft.data.Fixtures.END_OF_TEXT;
import static dev.graft.data.Fixtures.IM_END;
import static dev.graft.data.Fixtures.IM_START;
import static dev.graft.data.Fixtures.template;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DatasetReaderTest {
    private static final int VOCAB = 320;
    private static final int M = Example.MASKED;
    private static Tokenizer bytes;
    private static Tokenizer metaspace;

    @TempDir
    Path dir;

    @BeforeAll
    static void load() {
        bytes = Tokenizer.load(Fixtures.tokenizer("bytes"));
        metaspace = Tokenizer.load(Fixtures.tokenizer("metaspace"));
    }

    @AfterAll
    static void close() {
        bytes.close();
        metaspace.close();
    }

    @Test
    void learnsAllOfATextAndAppendsTheEndTokenIfAbsent() throws IOException {
        Dataset data = read(
                bytes,
                100,
                "{\"text\": \"hello\"}",
                "{\"text\": \"hello<|im_end|>\"}",
                "{\"text\": \"hello<|endoftext|>\"}");
        int hello = bytes.encode("hello", false)[0];
        assertThat(data.examples()).containsExactly(all(hello, IM_END), all(hello, IM_END), all(hello, END_OF_TEXT));
        assertThat(data.statistics()).isEqualTo(new Dataset.Statistics(3, 6, 3, 2, 0, 0, 0));
    }

    @Test
    void beginsATextAsThePostProcessorDoes() throws IOException {
        assertThat(read(metaspace, 100, "{\"text\": \"hello hello\"}").get(0)).isEqualTo(all(1, 298, 298, 2));
    }

    @Test
    void masksThePromptAndEndsTheCompletion() throws IOException {
        Dataset data = read(
                metaspace,
                100,
                "{\"prompt\": \"hello\", \"completion\": \"hello\"}",
                "{\"completion\": \"hello</s>\", \"prompt\": \"\"}");
        assertThat(data.get(0)).isEqualTo(new Example(new int[] {1, 298, 298, 2}, new int[] {M, M, 298, 2}));
        assertThat(data.get(1)).isEqualTo(new Example(new int[] {1, 298, 2}, new int[] {M, 298, 2}));
        assertThat(data.statistics().targetTokens()).isEqualTo(4);
        assertThat(Example.ofCompletion(metaspace, "hello", "hello")).isEqualTo(data.get(0));
        assertThat(Example.ofCompletion(metaspace, "", "hello</s>")).isEqualTo(data.get(1));
    }

    @Test
    void learnsAssistantTurnsOfAChatUpToTheirEndToken() throws IOException {
        Dataset data = read(
                bytes,
                1000,
                "{\"messages\": [{\"role\": \"user\", \"content\": \"hello 👋\"}, {\"role\": \"assistant\", \"content\": \"hello\"},"
                        + "{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"Zürich\"}]}");
        Example row = data.get(0);
        String text = "<|im_start|>user\nhello 👋<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n"
                + "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nZürich<|im_end|>\n";
        assertThat(row.inputIds()).isEqualTo(bytes.encode(text, false));
        int[] learnt = Arrays.stream(row.labels()).filter(label -> label != M).toArray();
        assertThat(bytes.decode(learnt, false)).isEqualTo("hello<|im_end|>Zürich<|im_end|>");
        for (int t = 0; t < row.length(); t++) {
            assertThat(row.labels()[t]).isIn(M, row.inputIds()[t]);
        }
        assertThat(row.inputIds()).startsWith(IM_START);
    }

    @Test
    void takesTokensAsTheyAre() throws IOException {
        Dataset data = DatasetReader.read(
                file(
                        "{\"input_ids\": [1, 2, 3], \"labels\": [-100, 2, 3]}",
                        "{\"input_ids\": [4, 5]}",
                        "{\"input_ids\": [6, 7, 0, 0], \"labels\": [6, 7, -7, 999], \"attention_mask\": [1, 1, 0, 0]}",
                        "{\"attention_mask\": [1, 1], \"input_ids\": [8, 9], \"labels\": null}"),
                DatasetReaderTest::noTokenizer,
                DatasetReaderTest::noTemplate,
                10,
                10);
        assertThat(data.examples())
                .containsExactly(
                        new Example(new int[] {1, 2, 3}, new int[] {M, 2, 3}), all(4, 5), all(6, 7), all(8, 9));
        assertThat(data.statistics()).isEqualTo(new Dataset.Statistics(4, 9, 5, 3, 0, 0, 0));
    }

    @Test
    void cutsLongRowsAndDropsThoseWithNothingToLearn() throws IOException {
        Dataset data = read(
                bytes,
                3,
                "{\"input_ids\": [1, 2, 3, 4], \"labels\": [1, -100, -100, 4]}", // nothing left after the cut
                "{\"input_ids\": [1, 2, 3, 4]}",
                "{\"input_ids\": [5], \"labels\": [5]}", // the first label never counts
                "{\"input_ids\": []}",
                "{\"text\": \"xyz\"}",
                "{\"input_ids\": [1, 2, 3]}");
        assertThat(data.examples()).containsExactly(all(1, 2, 3), all(bytes.encode("xyz", false)), all(1, 2, 3));
        assertThat(data.statistics()).isEqualTo(new Dataset.Statistics(3, 9, 6, 3, 3, 3, 1));
    }

    @Test
    void loadsTokenizerAndTemplateOnceAndOnlyIfNeeded() throws IOException {
        AtomicInteger loads = new AtomicInteger();
        DatasetReader.read(
                file("{\"text\": \"a\"}", "{\"text\": \"b\"}"),
                () -> {
                    loads.incrementAndGet();
                    return bytes;
                },
                DatasetReaderTest::noTemplate,
                10,
                VOCAB);
        assertThat(loads).hasValue(1);
        assertThatThrownBy(() -> DatasetReader.read(
                        file("{\"text\": \"a\"}"), () -> Tokenizer.load(dir), DatasetReaderTest::noTemplate, 10, VOCAB))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("data.jsonl:1: ")
                .hasMessageContaining("no tokenizer.json");
    }

    @Test
    void passesOverBlankLinesUnknownKeysAByteOrderMarkAndCarriageReturns() throws IOException {
        Path file = dir.resolve("bom.jsonl");
        Files.writeString(file, "\uFEFF{\"text\": \"a\", \"id\": {\"x\": [1]}}\r\n\n  \r\n{\"text\": \"\uFEFFb\"}");
        Dataset data = DatasetReader.read(file, () -> bytes, DatasetReaderTest::noTemplate, 10, VOCAB);
        assertThat(data.size()).isEqualTo(2);
        assertThat(bytes.decode(data.get(1).inputIds(), true)).isEqualTo("\uFEFFb");
    }

    @Test
    void saysWhichLineIsNotUtf8() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes("{\"text\": \"a\"}\n\n{\"text\": \"".getBytes(StandardCharsets.UTF_8));
        out.writeBytes("Zürich\"}\n".getBytes(StandardCharsets.ISO_8859_1));
        Path file = Files.write(dir.resolve("latin1.jsonl"), out.toByteArray());
        assertThatThrownBy(() -> DatasetReader.read(file, () -> bytes, DatasetReaderTest::noTemplate, 10, VOCAB))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("latin1.jsonl:3: not valid UTF-8");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '#',
            quoteCharacter = '`',
            value = {
                "[1]#not a JSON object",
                "{\"text\": \"a\"#malformed JSON",
                "{\"text\": \"a\"} {\"text\": \"b\"}#more than one JSON value",
                "{\"text\": \"a\", \"text\": \"b\"}#malformed JSON: Duplicate",
                "{}#none of the known keys",
                "{\"txt\": \"a\"}#none of the known keys",
                "{\"text\": 1}#\"text\" is a number",
                "{\"text\": null}#\"text\" is null",
                "{\"text\": [\"a\"]}#\"text\" is a list",
                "{\"text\": \"\\ud800\"}#half of a surrogate pair",
                "{\"text\": \"a\", \"messages\": []}#keys of several forms",
                "{\"text\": \"a\", \"prompt\": \"b\"}#keys of several forms",
                "{\"prompt\": \"a\"}#\"completion\" is missing",
                "{\"completion\": \"a\"}#\"prompt\" is missing",
                "{\"messages\": {}}#\"messages\" is an object",
                "{\"messages\": null}#\"messages\" is null",
                "{\"messages\": []}#\"messages\" is empty",
                "{\"messages\": [\"a\"]}#message 1 is not an object",
                "{\"messages\": [{\"content\": \"a\"}]}#message 1: \"role\"",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\"}]}#message 2: \"content\"",
                "{\"messages\": [{\"role\": \"user\", \"content\": 3}]}#message 1: \"content\"",
                "{\"tools\": []}#\"messages\" is missing",
                "{\"labels\": [1]}#\"input_ids\" is missing",
                "{\"input_ids\": null}#\"input_ids\" is null",
                "{\"input_ids\": [1, \"2\"]}#\"input_ids\"[1] is not",
                "{\"input_ids\": [1, 2.0]}#\"input_ids\"[1] is not",
                "{\"input_ids\": [1, 4294967297]}#\"input_ids\"[1] is not",
                "{\"input_ids\": [[1]]}#\"input_ids\"[0] is not",
                "{\"input_ids\": \"1 2\"}#\"input_ids\" is a string",
                "{\"input_ids\": [1, 320]}#token id 320 at position 1",
                "{\"input_ids\": [-1, 2]}#token id -1 at position 0",
                "{\"input_ids\": [1, 2], \"labels\": [1, 320]}#label 320 at position 1",
                "{\"input_ids\": [1, 2], \"labels\": [1, -1]}#label -1 at position 1",
                "{\"input_ids\": [1, 2], \"labels\": [1]}#\"labels\" has 1 entries",
                "{\"input_ids\": [1, 2], \"attention_mask\": [1]}#\"attention_mask\" has 1 entries",
                "{\"input_ids\": [1, 2], \"attention_mask\": [0, 1]}#\"attention_mask\" is not ones followed by zeros",
                "{\"input_ids\": [1, 2], \"attention_mask\": [1, 2]}#\"attention_mask\" is not ones followed by zeros",
            })
    void refusesABadLineSayingWhereAndWhat(String line, String message) {
        assertThatThrownBy(() -> read(bytes, 10, "{\"text\": \"fine\"}", line))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("data.jsonl:2: ")
                .hasMessageContaining(message)
                .message()
                .contains("; ")
                .doesNotContain("\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "\n \n"})
    void refusesAFileWithoutData(String content) throws IOException {
        Path file = Files.writeString(dir.resolve("empty.jsonl"), content);
        assertThatThrownBy(() -> DatasetReader.read(file, () -> bytes, DatasetReaderTest::noTemplate, 10, VOCAB))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("no data lines");
    }

    @Test
    void refusesDataWithNothingToLearnAndBadArguments() {
        assertThatThrownBy(() -> read(bytes, 10, "{\"input_ids\": [1, 2], \"labels\": [1, -100]}", "{\"text\": \"\"}"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("every label of all 2 rows is masked");
        assertThatThrownBy(() -> read(bytes, 1, "{\"text\": \"a\"}")).hasMessageContaining("sequence length 1");
        Path missing = dir.resolve("missing.jsonl");
        assertThatThrownBy(() -> DatasetReader.read(missing, () -> bytes, DatasetReaderTest::noTemplate, 10, VOCAB))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("missing.jsonl: no such file");
        assertThatThrownBy(() -> DatasetReader.read(
                        file("{\"text\": \"a<|im_end|>\"}"), () -> bytes, DatasetReaderTest::noTemplate, 10, 200))
                .hasMessageContaining("token id 266 at position 1");
    }

    @Test
    void countsRowsThatNeverEnd() throws IOException {
        ChatTemplate endless = ChatTemplate.of(
                "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", java.util.Map.of());
        Path file = file(
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}");
        Dataset data = DatasetReader.read(file, () -> bytes, () -> endless, 100, VOCAB);
        assertThat(data.statistics().rowsWithoutEnd()).isEqualTo(1);
    }

    @Test
    @Timeout(20) // takes a second or two; the bound catches a reader that is quadratic in lines
    void readsTensOfThousandsOfLinesQuickly() throws IOException {
        Path file = dir.resolve("long.jsonl");
        Files.write(file, (Iterable<String>) IntStream.range(0, 40_000)
                .mapToObj(i -> i % 2 == 0
                        ? "{\"input_ids\": [1, 2, 3, 4, 5, 6, 7, 8], \"labels\": [-100, -100, 3, 4, 5, 6, 7, 8]}"
                        : "{\"prompt\": \"hello " + i + "\", \"completion\": \"hello\"}")::iterator);
        Dataset data = DatasetReader.read(file, () -> bytes, DatasetReaderTest::noTemplate, 100, VOCAB);
        assertThat(data.size()).isEqualTo(40_000);
    }

    @Test
    void examplesCheckThemselves() {
        assertThatIllegalArgumentException().isThrownBy(() -> new Example(new int[0], new int[0]));
        assertThatIllegalArgumentException().isThrownBy(() -> new Example(new int[2], new int[1]));
        Example example = new Example(new int[] {1, 2, 3}, new int[] {1, M, 3});
        assertThat(example.targets()).isEqualTo(1);
        assertThat(example).isEqualTo(new Example(new int[] {1, 2, 3}, new int[] {1, M, 3}));
        assertThat(example).isNotEqualTo(all(1, 2, 3)).hasToString("Example[inputIds=[1, 2, 3], labels=[1, -100, 3]]");
        assertThat(example.hashCode()).isEqualTo(new Example(new int[] {1, 2, 3}, new int[] {1, M, 3}).hashCode());
    }

    private Dataset read(Tokenizer tokenizer, int seqLen, String... lines) throws IOException {
        return DatasetReader.read(file(lines), () -> tokenizer, () -> template("chatml"), seqLen, VOCAB);
    }

    private Path file(String... lines) throws IOException {
        return Files.write(dir.resolve("data.jsonl"), List.of(lines));
    }

    private static Example all(int... ids) {
        return new Example(ids, ids.clone());
    }

    private static Tokenizer noTokenizer() {
        throw new AssertionError("no tokenizer is needed");
    }

    private static ChatTemplate noTemplate() {
        throw new AssertionError("no chat template is needed");
    }
}
