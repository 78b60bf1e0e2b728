package dev.graft.io;

import static dev.graft.io.Fixtures.assertInputError;
import static dev.graft.io.Fixtures.safetensors;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsFileTest {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void nameFile() {
        file = folder.resolve("model.safetensors");
    }

    @Test
    void readsWhatPythonWrote() {
        try (SafetensorsFile st = SafetensorsFile.open(Fixtures.python("every-dtype.safetensors"))) {
            assertThat(st.metadata()).isEmpty();
            for (DType dtype : DType.values()) {
                TensorInfo info = st.info("t." + dtype);
                assertThat(info.dtype()).isEqualTo(dtype);
                assertThat(info.shape()).containsExactly(3L);
                assertThat(info.byteSize()).isEqualTo(3L * dtype.byteSize());
                assertThat(info.elements()).isEqualTo(3);
            }
            assertThat(st.info("scalar").shape()).isEmpty();
            assertThat(st.info("scalar").elements()).isEqualTo(1);
            assertThat(st.data("scalar").get(F32, 0)).isEqualTo(1.5f);
            assertThat(st.info("empty").shape()).containsExactly(0L, 3L);
            assertThat(st.data("empty").byteSize()).isZero();
            assertThat(st.data("t.I64").get(I64, 16)).isEqualTo(2);
            assertThat(st.data("t.F32").get(F32, 8)).isEqualTo(2f);
            assertThat(st.names())
                    .contains("\uD83D\uDE00", "quote\" back\\ tab\t bell\u0007 delete\u007f slash/")
                    .startsWith("t.I64")
                    .endsWith("t.BOOL");
        }
        try (SafetensorsFile st = SafetensorsFile.open(Fixtures.python("adapter.safetensors"))) {
            assertThat(st.metadata()).containsExactly(Map.entry("format", "pt"));
        }
        try (SafetensorsFile st = SafetensorsFile.open(Fixtures.python("no-tensors.safetensors"))) {
            assertThat(st.tensors()).isEmpty();
        }
    }

    @Test
    void ordersTensorsByOffsetAndIgnoresUnknownKeysAsTheLibraryDoes() throws IOException {
        Files.write(file, safetensors("""
                        {"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3],"note":{"x":[1]}},\
                        "a":{"data_offsets":[0,1],"shape":[],"dtype":"BOOL"},\
                        "none":{"dtype":"F32","shape":[4,0],"data_offsets":[1,1]}}   \
                        """, 7, 8, 9));
        try (SafetensorsFile st = SafetensorsFile.open(file)) {
            assertThat(st.names()).containsExactly("a", "none", "b");
            assertThat(st.tensors().get("b")).isEqualTo(new TensorInfo("b", DType.U8, List.of(2L), 1, 3));
            assertThat(st.data("b").toArray(ValueLayout.JAVA_BYTE)).containsExactly(8, 9);
            assertThat(st.path()).isEqualTo(file);
        }
    }

    @Test
    void readsDataAtOddAddresses() throws IOException {
        byte[] value = ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(2.5f)
                .array();
        String header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
        for (int padding = 0; padding < 8; padding++) {
            Files.write(file, safetensors(header + " ".repeat(padding), value[0], value[1], value[2], value[3]));
            try (SafetensorsFile st = SafetensorsFile.open(file)) {
                assertThat(st.data("x").get(F32, 0)).isEqualTo(2.5f);
            }
        }
    }

    @Test
    void theMappingCannotBeWritten() throws IOException {
        byte[] before = safetensors("{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 5);
        Files.write(file, before);
        try (SafetensorsFile st = SafetensorsFile.open(file)) {
            MemorySegment data = st.data("x");
            assertThat(data.isReadOnly()).isTrue();
            assertThat(data.isMapped()).isTrue();
            assertThatThrownBy(() -> data.set(ValueLayout.JAVA_BYTE, 0, (byte) 1))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> data.fill((byte) 1)).isInstanceOf(IllegalArgumentException.class);
        }
        assertThat(file).hasBinaryContent(before);
    }

    @Test
    void closingEndsAccessAndTwiceDoesNoHarm() {
        SafetensorsFile st = SafetensorsFile.open(Fixtures.python("adapter.safetensors"));
        MemorySegment data = st.data(st.names().iterator().next());
        st.close();
        st.close();
        assertThatThrownBy(() -> data.get(F32, 0)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void opensFilesOverTwoGibibytesWithoutReadingThem() throws IOException {
        long elements = 3L << 30;
        byte[] head = safetensors("{\"big\":{\"dtype\":\"F32\",\"shape\":[3,%d],\"data_offsets\":[0,%d]}}"
                .formatted(elements / 3, elements * 4));
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.write(head);
            sparse.setLength(head.length + elements * 4);
            sparse.seek(head.length + elements * 4 - 4);
            sparse.write(new byte[] {0, 0, (byte) 0x80, 0x3f});
        }
        long start = System.nanoTime();
        try (SafetensorsFile st = SafetensorsFile.open(file)) {
            assertThat(st.data("big").byteSize()).isEqualTo(elements * 4);
            assertThat(st.data("big").get(F32, elements * 4 - 4)).isEqualTo(1f);
            assertThat(st.data("big").get(F32, 0)).isZero();
        }
        // reading 12 GiB of zeros would take longer
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(2));
        Files.delete(file);
    }

    @Test
    void refusesWhatIsNoFile() throws IOException {
        assertInputError(file, () -> SafetensorsFile.open(file)).contains("does not exist");
        assertInputError(folder, () -> SafetensorsFile.open(folder)).contains("is a folder");
    }

    @Test
    void refusesEveryTruncation() throws IOException {
        byte[] whole = Files.readAllBytes(Fixtures.python("adapter.safetensors"));
        Files.write(file, whole);
        try (RandomAccessFile shrinking = new RandomAccessFile(file.toFile(), "rw")) {
            for (int length = whole.length - 1; length >= 0; length--) {
                shrinking.setLength(length);
                assertInputError(file, () -> SafetensorsFile.open(file)).contains("truncated", "again");
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"100000001, limit is 100000000", "-1, limit is 100000000", "99, should have 99 bytes", "0, '{'"})
    void refusesHeaderLengthsOutOfRange(long length, String expected) throws IOException {
        Files.write(
                file,
                ByteBuffer.allocate(16)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(length)
                        .array());
        assertInputError(file, () -> SafetensorsFile.open(file)).contains(expected);
    }

    @Test
    void knowsAGitLfsPointer() throws IOException {
        Files.writeString(file, "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 99\n");
        assertInputError(file, () -> SafetensorsFile.open(file)).contains("git lfs pull");
    }

    /** A header and the words its refusal must have; two bytes of data follow each. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                " []                                                                    | begin with '{'",
                "[]                                                                     | begin with '{'",
                "{                                                                      | not valid JSON",
                "{}}                                                                    | not valid JSON",
                "{} {}                                                                  | goes on",
                "{}                                                                     | 2 bytes at its end",
                "{'x':1}                                                                | 'x' is not a JSON object",
                "{'x':{'shape':[2],'data_offsets':[0,2]}}                               | lacks dtype",
                "{'x':{'dtype':'U8','data_offsets':[0,2]}}                              | lacks dtype, shape",
                "{'x':{'dtype':'U8','shape':[2]}}                                       | data_offsets",
                "{'x':{'dtype':'F8_E4M3','shape':[2],'data_offsets':[0,2]}}             | dtype 'F8_E4M3', known are [F32",
                "{'x':{'dtype':8,'shape':[2],'data_offsets':[0,2]}}                     | dtype is not a string",
                "{'x':{'dtype':'U8','shape':2,'data_offsets':[0,2]}}                    | shape is not an array",
                "{'x':{'dtype':'U8','shape':[-2],'data_offsets':[0,2]}}                 | whole number",
                "{'x':{'dtype':'U8','shape':[2.0],'data_offsets':[0,2]}}                | whole number",
                "{'x':{'dtype':'U8','shape':['2'],'data_offsets':[0,2]}}                | whole number",
                "{'x':{'dtype':'U8','shape':[99999999999999999999],'data_offsets':[0,2]}} | not valid JSON",
                "{'x':{'dtype':'U8','shape':[4294967296,4294967296],'data_offsets':[0,2]}} | overflows",
                "{'x':{'dtype':'F64','shape':[2305843009213693952],'data_offsets':[0,2]}} | overflows",
                "{'x':{'dtype':'U8','shape':[3],'data_offsets':[0,2]}}                  | takes 3 bytes but",
                "{'x':{'dtype':'BF16','shape':[2],'data_offsets':[0,2]}}                | takes 4 bytes but",
                "{'x':{'dtype':'U8','shape':[2],'data_offsets':[2,0]}}                  | not a range",
                "{'x':{'dtype':'U8','shape':[2],'data_offsets':[0]}}                    | 1 data_offsets",
                "{'x':{'dtype':'U8','shape':[2],'data_offsets':[0,1,2]}}                | 3 data_offsets",
                "{'x':{'dtype':'U8','shape':[3],'data_offsets':[0,3]}}                  | truncated",
                "{'x':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}                  | 1 bytes at its end",
                "{'x':{'dtype':'U8','shape':[1],'data_offsets':[1,2]}}                  | begins 1 bytes after",
                "{'x':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'y':{'dtype':'U8','shape':[1],'data_offsets':[1,2]}} | 'y' overlaps",
                "{'x':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'y':{'dtype':'U8','shape':[0],'data_offsets':[1,1]}} | 'y' overlaps",
                "{'x':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'x':{'dtype':'U8','shape':[2],'data_offsets':[0,2]}} | Duplicate",
                "{'x':{'dtype':'U8','shape':[2],'shape':[2],'data_offsets':[0,2]}}      | Duplicate",
                "{'__metadata__':{'a':'1','a':'1'}}                                     | Duplicate",
                "{'__metadata__':{'a':1}}                                               | 'a' is not a string",
                "{'__metadata__':null}                                                  | __metadata__ is not",
                "{'line\\nbreak':1}                                                     | 'line\\u000abreak'",
            })
    void refusesHeadersThatBreakTheFormat(String header, String expected) throws IOException {
        // every ' in the first column but that of the message is a JSON quote
        Files.write(file, safetensors(header.replace('\'', '"'), 1, 2));
        assertInputError(file, () -> SafetensorsFile.open(file)).contains(expected);
    }

    @Test
    void refusesLeadingSpace() throws IOException {
        Files.write(file, safetensors(" {}"));
        assertInputError(file, () -> SafetensorsFile.open(file)).contains("begin with '{'");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"\u00e9\":1}", "{} \u00e9"})
    void refusesHeadersThatAreNotUtf8(String header) throws IOException {
        byte[] latin = header.getBytes(StandardCharsets.ISO_8859_1);
        byte[] bytes = ByteBuffer.allocate(8 + latin.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(latin.length)
                .put(latin)
                .array();
        Files.write(file, bytes);
        assertInputError(file, () -> SafetensorsFile.open(file)).contains("not UTF-8");
    }

    @Test
    void refusesDeepNestingWithoutOverflowingTheStack() throws IOException {
        Files.write(file, safetensors("{\"x\":{\"y\":" + "[".repeat(1_000_000)));
        assertInputError(file, () -> SafetensorsFile.open(file)).contains("not valid JSON");
    }

    @Test
    void namesATensorThatIsNotThere() {
        try (SafetensorsFile st = SafetensorsFile.open(Fixtures.python("adapter.safetensors"))) {
            assertInputError(st.path(), () -> st.data("lm_head\n.weight")).contains("'lm_head\\u000a.weight'");
        }
    }

    /** Seeded damage to real files: each either opens soundly, with every tensor readable, or is refused in one line. */
    @ParameterizedTest
    @ValueSource(strings = {"every-dtype.safetensors", "adapter.safetensors"})
    void damagedHeadersAreRefusedOrSound(String name) throws IOException {
        byte[] whole = Files.readAllBytes(Fixtures.python(name));
        int headerEnd =
                8 + ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getInt();
        Random random = new Random(42);
        int refused = 0;
        int opened = 0;
        for (int round = 0; round < 3000; round++) {
            byte[] damaged = whole.clone();
            int flips = 1 + random.nextInt(3);
            for (int i = 0; i < flips; i++) {
                damaged[random.nextInt(headerEnd)] ^= (byte) (1 << random.nextInt(8));
            }
            // in place: truncating first would wait for the disk each time
            Files.write(file, damaged, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            try (SafetensorsFile st = SafetensorsFile.open(file)) {
                opened++;
                for (String tensor : st.names()) {
                    assertThat(st.data(tensor).toArray(ValueLayout.JAVA_BYTE))
                            .hasSize(Math.toIntExact(st.info(tensor).byteSize()));
                }
            } catch (InputException e) {
                refused++;
                assertThat(e.getMessage()).contains(file.toString()).doesNotContain("\n");
            }
        }
        // both outcomes happen: a flip inside a name is no fault
        assertThat(refused).isGreaterThan(500);
        assertThat(opened).isGreaterThan(50);
    }
}
