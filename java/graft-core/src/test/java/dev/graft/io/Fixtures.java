package dev.graft.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.graft.common.InputException;
import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.assertj.core.api.AbstractStringAssert;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** Files that Python wrote (scripts/reference/make_safetensors_fixtures.py), files made by hand, and how errors must look. */
final class Fixtures {
    private Fixtures() {}

    static Path python(String name) {
        URL url = Objects.requireNonNull(Fixtures.class.getResource(name), name);
        try {
            return Path.of(url.toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Length, header as given, data as given; nothing is checked. */
    static byte[] safetensors(String header, int... data) {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer file = ByteBuffer.allocate(Long.BYTES + text.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length)
                .put(text);
        for (int value : data) {
            file.put((byte) value);
        }
        return file.array();
    }

    /** A file with one-byte U8 tensors of these names, holding 0, 1, 2... */
    static void writeShard(Path file, String... names) throws IOException {
        StringBuilder header = new StringBuilder("{");
        int[] data = new int[names.length];
        for (int i = 0; i < names.length; i++) {
            data[i] = i;
            header.append(i == 0 ? "" : ",")
                    .append("\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}"
                            .formatted(names[i], i, i + 1));
        }
        Files.write(file, safetensors(header.append('}').toString(), data));
    }

    static List<Path> list(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.sorted().toList();
        }
    }

    /** The call must end in an InputException whose message is one line that names the file and a remedy after "; ". */
    static AbstractStringAssert<?> assertInputError(Path file, ThrowingCallable call) {
        Throwable thrown = catchThrowable(call);
        assertThat(thrown).isExactlyInstanceOf(InputException.class);
        return assertThat(thrown.getMessage())
                .doesNotContain("\n", "\r")
                .contains(file.toString())
                .contains("; ");
    }
}
