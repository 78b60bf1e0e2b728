package dev.graft.cli.download;

import dev.graft.common.InputException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;

/**
 * A zip file behind a URL, of which only the entries that are asked for are transferred: the server must answer range requests, as
 * Maven Central does. Of the format (PKWARE's APPNOTE.TXT) it reads what is below 4 GiB, stored or deflated.
 */
final class RemoteZip implements AutoCloseable {
    private static final int END_SIGNATURE = 0x06054b50;
    private static final int ENTRY_SIGNATURE = 0x02014b50;
    private static final int LOCAL_SIGNATURE = 0x04034b50;
    private static final int END_BYTES = 22;
    private static final int ENTRY_BYTES = 46;
    private static final int LOCAL_BYTES = 30;
    private static final int LONGEST_COMMENT = 0xffff;
    private static final int STORED = 0;
    private static final int DEFLATED = 8;
    private static final int PARTIAL_CONTENT = 206;

    /** A file in the zip: where it starts, and what it must come out as. */
    record Entry(String name, int method, long crc, long packedBytes, long bytes, long offset) {}

    private final URI uri;
    private final HttpClient client = HttpClient.newBuilder()
            .followRedirects(HttpClient.Redirect.NORMAL)
            .connectTimeout(Duration.ofSeconds(30))
            .build();

    RemoteZip(URI uri) {
        this.uri = uri;
    }

    /** All entries, from the directory at the file's end. */
    List<Entry> entries() throws IOException, InterruptedException {
        long size = size();
        int tailBytes = (int) Math.min(size, END_BYTES + LONGEST_COMMENT);
        ByteBuffer tail = bytes(size - tailBytes, tailBytes);
        int end = tail.capacity() - END_BYTES;
        while (end >= 0 && tail.getInt(end) != END_SIGNATURE) {
            end--;
        }
        if (end < 0) {
            throw new IOException("it is no zip file");
        }
        long directoryBytes = Integer.toUnsignedLong(tail.getInt(end + 12));
        long directory = Integer.toUnsignedLong(tail.getInt(end + 16));
        return parse(bytes(directory, Math.toIntExact(directoryBytes)));
    }

    private static List<Entry> parse(ByteBuffer directory) throws IOException {
        List<Entry> entries = new ArrayList<>();
        int at = 0;
        while (at + ENTRY_BYTES <= directory.capacity()) {
            if (directory.getInt(at) != ENTRY_SIGNATURE) {
                throw new IOException("its directory is damaged");
            }
            int nameBytes = Short.toUnsignedInt(directory.getShort(at + 28));
            byte[] name = new byte[nameBytes];
            directory.get(at + ENTRY_BYTES, name);
            entries.add(new Entry(
                    new String(name, StandardCharsets.UTF_8),
                    directory.getShort(at + 10),
                    Integer.toUnsignedLong(directory.getInt(at + 16)),
                    Integer.toUnsignedLong(directory.getInt(at + 20)),
                    Integer.toUnsignedLong(directory.getInt(at + 24)),
                    Integer.toUnsignedLong(directory.getInt(at + 42))));
            int extraBytes = Short.toUnsignedInt(directory.getShort(at + 30));
            int commentBytes = Short.toUnsignedInt(directory.getShort(at + 32));
            at += ENTRY_BYTES + nameBytes + extraBytes + commentBytes;
        }
        return entries;
    }

    /**
     * Writes an entry's contents.
     *
     * @param progress is told the bytes written so far
     * @throws IOException where the connection fails or the contents are not what the zip says
     */
    void copy(Entry entry, OutputStream out, LongConsumer progress) throws IOException, InterruptedException {
        ByteBuffer local = bytes(entry.offset(), LOCAL_BYTES);
        if (local.getInt(0) != LOCAL_SIGNATURE || (entry.method() != STORED && entry.method() != DEFLATED)) {
            throw new IOException(entry.name() + " is stored in a way that is not known");
        }
        long start = entry.offset()
                + LOCAL_BYTES
                + Short.toUnsignedInt(local.getShort(26))
                + Short.toUnsignedInt(local.getShort(28));
        CRC32 crc = new CRC32();
        Inflater inflater = new Inflater(true);
        try (InputStream packed = open(start, entry.packedBytes());
                InputStream plain =
                        entry.method() == STORED ? packed : new InflaterInputStream(packed, inflater, 1 << 16);
                InputStream checked = new CheckedInputStream(plain, crc)) {
            byte[] buffer = new byte[1 << 16];
            long written = 0;
            for (int count = checked.read(buffer); count >= 0; count = checked.read(buffer)) {
                out.write(buffer, 0, count);
                written += count;
                progress.accept(written);
            }
            if (written != entry.bytes() || crc.getValue() != entry.crc()) {
                throw new IOException(entry.name() + " arrived damaged");
            }
        } finally {
            inflater.end();
        }
    }

    private long size() throws IOException, InterruptedException {
        HttpRequest head = HttpRequest.newBuilder(uri)
                .method("HEAD", HttpRequest.BodyPublishers.noBody())
                .build();
        HttpResponse<Void> response = client.send(head, HttpResponse.BodyHandlers.discarding());
        if (response.statusCode() != 200) {
            throw new InputException(uri + ": the server answers " + response.statusCode()
                    + "; check the connection, or install the CUDA toolkit instead");
        }
        return response.headers()
                .firstValueAsLong("content-length")
                .orElseThrow(() -> new IOException("the server does not say how large the file is"));
    }

    private ByteBuffer bytes(long from, int count) throws IOException, InterruptedException {
        try (InputStream in = open(from, count)) {
            byte[] bytes = in.readNBytes(count);
            if (bytes.length < count) {
                throw new IOException("the connection ended early");
            }
            return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }
    }

    private InputStream open(long from, long count) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(uri)
                .header("Range", "bytes=" + from + "-" + (from + count - 1))
                .build();
        HttpResponse<InputStream> response = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
        if (response.statusCode() != PARTIAL_CONTENT) {
            response.body().close();
            throw new IOException("the server does not send parts of files (status " + response.statusCode() + ")");
        }
        return response.body();
    }

    @Override
    public void close() {
        client.close();
    }
}
