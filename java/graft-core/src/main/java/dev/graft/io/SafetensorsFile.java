package dev.graft.io;

import dev.graft.common.InputException;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * One safetensors file, mapped read-only: opening costs the header alone, two processes share one copy in memory, and writing
 * to a tensor throws. Format: 8 bytes header length n (little-endian), n bytes JSON, then the data section
 * (<a href="https://huggingface.co/docs/safetensors">huggingface.co/docs/safetensors</a>).
 *
 * <p>The file must not be changed or shortened while it is open; {@link AtomicFiles} replaces files without doing so.
 */
public final class SafetensorsFile implements TensorStore {
    private static final int LENGTH_BYTES = Long.BYTES;
    /** The limit of the reference implementation. */
    private static final long MAX_HEADER_BYTES = 100_000_000;

    private static final byte[] GIT_LFS_POINTER = "version https://git-lfs".getBytes(StandardCharsets.US_ASCII);

    private final Path path;
    private final SafetensorsHeader header;
    private final MemorySegment data;
    private final Arena arena;
    private final AtomicBoolean closed = new AtomicBoolean();

    private SafetensorsFile(Path path, SafetensorsHeader header, MemorySegment data, Arena arena) {
        this.path = path;
        this.header = header;
        this.data = data;
        this.arena = arena;
    }

    /**
     * Opens and checks a file; nothing that the file asks for is allocated before it is checked.
     *
     * @throws InputException if the file cannot be read or breaks the format in any way; the message names the file
     */
    public static SafetensorsFile open(Path file) {
        Faults.requireFile(file);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            int headerBytes = readHeaderLength(file, channel, size);
            long dataStart = (long) LENGTH_BYTES + headerBytes;
            String json = readHeader(file, channel, headerBytes);
            SafetensorsHeader header = SafetensorsHeader.parse(file, json, size - dataStart);

            Arena arena = Arena.ofShared();
            try {
                MemorySegment data = channel.map(FileChannel.MapMode.READ_ONLY, dataStart, size - dataStart, arena);
                return new SafetensorsFile(file, header, data, arena);
            } catch (IOException | RuntimeException | Error e) {
                arena.close();
                throw e;
            }
        } catch (IOException e) {
            throw Faults.reading(file, e);
        }
    }

    public Path path() {
        return path;
    }

    /** The free-form metadata, such as {@code format=pt}; empty if there is none. */
    public Map<String, String> metadata() {
        return header.metadata();
    }

    /** All tensors by name, ordered by their place in the file; unmodifiable. */
    public Map<String, TensorInfo> tensors() {
        return header.tensors();
    }

    @Override
    public Set<String> names() {
        return header.tensors().keySet();
    }

    @Override
    public TensorInfo info(String name) {
        TensorInfo info = header.tensors().get(name);
        if (info == null) {
            throw new InputException(path + ": no tensor " + Text.quote(name) + " among its "
                    + header.tensors().size() + "; check that this is the right file");
        }
        return info;
    }

    @Override
    public MemorySegment data(String name) {
        TensorInfo info = info(name);
        return data.asSlice(info.begin(), info.byteSize());
    }

    /** Closing twice does no harm. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            arena.close();
        }
    }

    /** The one form of "this file is broken": what is wrong, and that a fresh copy is the remedy. */
    static InputException damaged(Path file, String fault) {
        return new InputException(file + ": " + fault + "; download or save the file again");
    }

    private static int readHeaderLength(Path file, FileChannel channel, long size) throws IOException {
        if (size < LENGTH_BYTES) {
            throw damaged(file, "truncated: " + size + " bytes, too few for a safetensors file");
        }
        refuseGitLfsPointer(file, channel, size);
        long length =
                read(channel, 0, LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN).getLong();
        if (length < 0 || length > MAX_HEADER_BYTES) {
            throw damaged(
                    file,
                    "not a safetensors file: its header would be " + Long.toUnsignedString(length)
                            + " bytes, the limit is " + MAX_HEADER_BYTES);
        }
        if (length > size - LENGTH_BYTES) {
            throw damaged(
                    file,
                    "truncated: its header should have " + length + " bytes but only " + (size - LENGTH_BYTES)
                            + " follow");
        }
        return Math.toIntExact(length);
    }

    private static String readHeader(Path file, FileChannel channel, int length) throws IOException {
        if (length == 0 || read(channel, LENGTH_BYTES, 1).get() != '{') {
            throw damaged(file, "not a safetensors file: its header does not begin with '{'");
        }
        try {
            return Json.decodeUtf8(read(channel, LENGTH_BYTES, length));
        } catch (CharacterCodingException e) {
            throw damaged(file, "its header is not UTF-8");
        }
    }

    /** What a clone without git-lfs leaves in the place of the weights. */
    private static void refuseGitLfsPointer(Path file, FileChannel channel, long size) throws IOException {
        if (size >= GIT_LFS_POINTER.length
                && read(channel, 0, GIT_LFS_POINTER.length).equals(ByteBuffer.wrap(GIT_LFS_POINTER))) {
            throw new InputException(file + ": a Git LFS pointer, not the weights; run 'git lfs pull' in its folder");
        }
    }

    private static ByteBuffer read(FileChannel channel, long position, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, position + buffer.position()) < 0) {
                throw new EOFException("the file became shorter while it was read");
            }
        }
        return buffer.flip();
    }
}
