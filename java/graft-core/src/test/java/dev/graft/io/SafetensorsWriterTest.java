package dev.graft.io;

import static dev.graft.io.Fixtures.assertInputError;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.io.SafetensorsWriter.Entry;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsWriterTest {
    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void nameFile() {
        file = folder.resolve("out.safetensors");
    }

    @ParameterizedTest
    @ValueSource(strings = {"every-dtype.safetensors", "adapter.safetensors", "no-tensors.safetensors"})
    void writesThePythonLibrarysBytes(String name) throws IOException {
        Path python = Fixtures.python(name);
        try (SafetensorsFile st = SafetensorsFile.open(python)) {
            List<Entry> entries = new ArrayList<>();
            st.tensors()
                    .values()
                    .forEach(t -> entries.add(Entry.of(t.name(), t.dtype(), t.shape(), st.data(t.name()))));
            Collections.shuffle(entries, new Random(1));
            SafetensorsWriter.write(file, st.metadata(), entries);
        }
        assertThat(file).hasBinaryContent(Files.readAllBytes(python));
    }

    @Test
    void sortsMetadataSoThatEqualContentsAreEqualBytes() throws IOException {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("format", "pt");
        metadata.put("base", "\u00e9\"");
        SafetensorsWriter.write(file, metadata, List.of());
        assertThat(Files.readString(file).substring(8))
                .isEqualTo("{\"__metadata__\":{\"base\":\"\u00e9\\\"\",\"format\":\"pt\"}}  ");
    }

    /** Seeded tensors of every type and of awkward shapes come back as they were written. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void writtenTensorsReadBack(long seed) {
        Random random = new Random(seed);
        Map<String, byte[]> expected = new LinkedHashMap<>();
        List<Entry> entries = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            DType dtype = DType.values()[random.nextInt(DType.values().length)];
            List<Long> shape = IntStream.range(0, random.nextInt(4))
                    .mapToObj(d -> (long) random.nextInt(8))
                    .toList();
            byte[] data = new byte[Math.toIntExact(TensorInfo.byteSize(dtype, shape))];
            random.nextBytes(data);
            String name = "t" + (char) random.nextInt(0xd800) + i;
            expected.put(name, data);
            entries.add(Entry.of(name, dtype, shape, MemorySegment.ofArray(data)));
        }
        SafetensorsWriter.write(file, Map.of("seed", "" + seed), entries);
        try (SafetensorsFile st = SafetensorsFile.open(file)) {
            assertThat(st.metadata()).isEqualTo(Map.of("seed", "" + seed));
            assertThat(st.names()).isEqualTo(expected.keySet());
            for (Entry entry : entries) {
                assertThat(st.info(entry.name()).dtype()).isEqualTo(entry.dtype());
                assertThat(st.info(entry.name()).shape()).isEqualTo(entry.shape());
                assertThat(st.data(entry.name()).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(expected.get(entry.name()));
            }
        }
    }

    @Test
    void takesMemoryOnAndOffTheHeapInManyPieces() {
        // three pieces, the last one odd
        float[] values = new float[(2 * (8 << 20) + 12) / 4];
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
        }
        List<Long> shape = List.of((long) values.length);
        MemorySegment heap = MemorySegment.ofArray(values);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nativeCopy = arena.allocate(heap.byteSize()).copyFrom(heap);
            SafetensorsWriter.write(
                    file,
                    Map.of(),
                    List.of(
                            Entry.of("heap", DType.F32, shape, heap),
                            Entry.of("native", DType.F32, shape, nativeCopy.asReadOnly())));
        }
        try (SafetensorsFile st = SafetensorsFile.open(file)) {
            assertThat(st.data("heap").mismatch(heap)).isEqualTo(-1);
            assertThat(st.data("native").mismatch(heap)).isEqualTo(-1);
        }
    }

    @Test
    void callsSourcesOneByOneInFileOrder() {
        List<String> calls = new ArrayList<>();
        List<Entry> entries = new ArrayList<>();
        for (String name : List.of("b", "c", "a")) {
            entries.add(new Entry(name, DType.U8, List.of(4L), channel -> {
                calls.add(name);
                channel.write(ByteBuffer.wrap(new byte[] {1, 2}));
                channel.write(ByteBuffer.wrap(new byte[] {3, 4}));
                channel.close();
            }));
        }
        SafetensorsWriter.write(file, Map.of(), entries);
        assertThat(calls).containsExactly("a", "b", "c");
        try (SafetensorsFile st = SafetensorsFile.open(file)) {
            assertThat(st.data("c").toArray(ValueLayout.JAVA_BYTE)).containsExactly(1, 2, 3, 4);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, 5})
    void refusesSourcesThatWriteAnotherSize(int written) throws IOException {
        Files.writeString(file, "old");
        Entry wrong =
                new Entry("w", DType.F32, List.of(1L), channel -> channel.write(ByteBuffer.wrap(new byte[written])));
        assertThatThrownBy(() -> SafetensorsWriter.write(file, Map.of(), List.of(wrong)))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("'w'");
        assertOnlyTheOldFile();
    }

    @Test
    void aFullDiskLeavesTheOldFile() throws IOException {
        Files.writeString(file, "old");
        Entry good = Entry.of("a", DType.U8, List.of(1L), MemorySegment.ofArray(new byte[1]));
        Entry full = new Entry("b", DType.U8, List.of(1L), channel -> {
            throw new IOException("No space left on device");
        });
        assertInputError(file, () -> SafetensorsWriter.write(file, Map.of(), List.of(good, full)))
                .contains("disk is full", "free space");
        assertOnlyTheOldFile();
    }

    @Test
    void refusesNamesAndShapesThatCannotBeWritten() {
        MemorySegment one = MemorySegment.ofArray(new byte[1]);
        Entry entry = Entry.of("a", DType.U8, List.of(1L), one);
        assertThatThrownBy(() -> SafetensorsWriter.write(file, Map.of(), List.of(entry, entry)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("two tensors");
        for (String name : Set.of("__metadata__", "half \ud83d")) {
            assertThatThrownBy(() -> Entry.of(name, DType.U8, List.of(1L), one))
                    .isInstanceOf(IllegalArgumentException.class);
        }
        assertThatThrownBy(() -> SafetensorsWriter.write(file, Map.of("k", "\udc00"), List.of()))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Entry.of("a", DType.F32, List.of(1L), one))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Entry.of("a", DType.U8, List.of(-1L), one))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(file).doesNotExist();
    }

    @Test
    void namesDifferingOnlyInCaseOrFormAreDistinct() {
        Set<String> names = new HashSet<>(List.of("a", "A", "\u00e9", "e\u0301", ""));
        MemorySegment one = MemorySegment.ofArray("x".getBytes(StandardCharsets.UTF_8));
        SafetensorsWriter.write(
                file,
                Map.of(),
                names.stream().map(n -> Entry.of(n, DType.U8, List.of(), one)).toList());
        try (SafetensorsFile st = SafetensorsFile.open(file)) {
            assertThat(st.names()).isEqualTo(names).containsExactly("", "A", "a", "e\u0301", "\u00e9");
        }
    }

    private void assertOnlyTheOldFile() throws IOException {
        assertThat(file).hasContent("old");
        assertThat(Fixtures.list(folder)).containsExactly(file);
    }
}
