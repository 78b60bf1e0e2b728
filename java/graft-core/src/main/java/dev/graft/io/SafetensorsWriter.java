package dev.graft.io;

import dev.graft.common.InputException;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Writes safetensors files byte for byte as the Python library's {@code safetensors.torch.save_file} does (checked against
 * 0.8.0): tensors by descending type and then by name, compact JSON, the header padded with spaces to a multiple of 8. One
 * freedom is used: the library writes several metadata entries in random order, here they are sorted, so that equal contents
 * are equal bytes.
 *
 * <p>Tensors are streamed one after the other; what is in memory is what a source holds while it writes.
 */
public final class SafetensorsWriter {
    /** The order of the Rust crate's {@code Dtype}, reversed: wide types first, so that each stays aligned. */
    private static final List<DType> WRITTEN_FIRST = List.of(
            DType.I64,
            DType.F64,
            DType.F32,
            DType.I32,
            DType.BF16,
            DType.F16,
            DType.I16,
            DType.I8,
            DType.U8,
            DType.BOOL);

    private static final Comparator<Entry> LIBRARY_ORDER = Comparator.comparingInt(
                    (Entry entry) -> WRITTEN_FIRST.indexOf(entry.dtype()))
            .thenComparing(Entry::name, Text.BY_CODE_POINT);

    private static final int ALIGNMENT = 8;
    /** Pieces that a channel takes at once; also bounds what it buffers for memory on the Java heap. */
    private static final long PIECE_BYTES = 8 << 20;

    private SafetensorsWriter() {}

    /**
     * A tensor to be written.
     *
     * @param name any text but {@code __metadata__}
     * @param shape the dimensions, outermost first; empty for a scalar
     * @param source writes exactly the tensor's bytes, row-major and little-endian; called once, when its turn comes
     */
    public record Entry(String name, DType dtype, List<Long> shape, IOConsumer<WritableByteChannel> source) {
        /**
         * Copies the shape.
         *
         * @throws IllegalArgumentException for the reserved name, text that UTF-8 cannot hold or a negative dimension
         * @throws ArithmeticException for a shape of 2^63 bytes or more
         */
        public Entry {
            shape = List.copyOf(shape);
            TensorInfo.byteSize(dtype, shape);
            if (name.equals(SafetensorsHeader.METADATA_KEY)) {
                throw new IllegalArgumentException("a tensor cannot be named " + name);
            }
            requireUnicode(name);
        }

        /** A tensor whose bytes are there already, on or off the heap, aligned or not. */
        public static Entry of(String name, DType dtype, List<Long> shape, MemorySegment data) {
            if (data.byteSize() != TensorInfo.byteSize(dtype, shape)) {
                throw new IllegalArgumentException(Text.quote(name) + ": shape " + shape + " of " + dtype + " takes "
                        + TensorInfo.byteSize(dtype, shape) + " bytes, not " + data.byteSize());
            }
            return new Entry(name, dtype, shape, channel -> writeFully(channel, data));
        }

        long byteSize() {
            return TensorInfo.byteSize(dtype, shape);
        }
    }

    /**
     * Replaces {@code file}, atomically as {@link AtomicFiles} does. Sources are called in file order, not in the order given.
     *
     * @param metadata free-form; PEFT and transformers want {@code format=pt}; left out of the file if empty
     * @throws InputException if the file system refuses; the old file is then as it was
     * @throws IllegalArgumentException for two tensors of one name
     * @throws IllegalStateException if a source writes more or fewer bytes than its shape has
     */
    public static void write(Path file, Map<String, String> metadata, Collection<Entry> tensors) {
        List<Entry> ordered = tensors.stream().sorted(LIBRARY_ORDER).toList();
        requireDistinctNames(ordered);
        byte[] header = header(metadata, ordered);
        AtomicFiles.writeChannel(file, channel -> {
            writeFully(channel, MemorySegment.ofArray(header));
            for (Entry entry : ordered) {
                writeTensor(channel, entry);
            }
        });
    }

    /** Writes all bytes of {@code data} to {@code channel}; for sources that hand over piece by piece. */
    public static void writeFully(WritableByteChannel channel, MemorySegment data) throws IOException {
        for (long done = 0; done < data.byteSize(); done += PIECE_BYTES) {
            ByteBuffer piece = bytes(data.asSlice(done, Math.min(PIECE_BYTES, data.byteSize() - done)));
            while (piece.hasRemaining()) {
                channel.write(piece);
            }
        }
    }

    /** A buffer over the segment itself where Java has one; arrays other than {@code byte[]} must be copied. */
    private static ByteBuffer bytes(MemorySegment piece) {
        boolean viewable = piece.isNative()
                || piece.heapBase().filter(byte[].class::isInstance).isPresent();
        if (viewable) {
            return piece.asByteBuffer();
        }
        ByteBuffer copy = ByteBuffer.allocate(Math.toIntExact(piece.byteSize()));
        MemorySegment.ofBuffer(copy).copyFrom(piece);
        return copy;
    }

    private static void writeTensor(WritableByteChannel channel, Entry entry) throws IOException {
        CountedChannel counted = new CountedChannel(channel, entry);
        entry.source().accept(counted);
        if (counted.missing != 0) {
            throw new IllegalStateException("the source of tensor " + Text.quote(entry.name()) + " wrote "
                    + counted.missing + " bytes too few of " + entry.byteSize());
        }
    }

    private static void requireDistinctNames(List<Entry> entries) {
        Set<String> seen = new HashSet<>();
        for (Entry entry : entries) {
            if (!seen.add(entry.name())) {
                throw new IllegalArgumentException("two tensors are named " + Text.quote(entry.name()));
            }
        }
    }

    /** Length, JSON and padding. */
    private static byte[] header(Map<String, String> metadata, List<Entry> ordered) {
        StringBuilder json = new StringBuilder("{");
        if (!metadata.isEmpty()) {
            appendMetadata(json, metadata);
        }
        long offset = 0;
        for (Entry entry : ordered) {
            separate(json);
            Text.appendJson(json, entry.name(), false);
            json.append(":{\"dtype\":\"").append(entry.dtype().name()).append("\",\"shape\":[");
            for (int i = 0; i < entry.shape().size(); i++) {
                json.append(i == 0 ? "" : ",").append(entry.shape().get(i).longValue());
            }
            long end = Math.addExact(offset, entry.byteSize());
            json.append("],\"data_offsets\":[")
                    .append(offset)
                    .append(',')
                    .append(end)
                    .append("]}");
            offset = end;
        }
        byte[] text = json.append('}').toString().getBytes(StandardCharsets.UTF_8);
        int padded = Math.ceilDiv(text.length, ALIGNMENT) * ALIGNMENT;
        ByteBuffer header = ByteBuffer.allocate(Long.BYTES + padded).order(ByteOrder.LITTLE_ENDIAN);
        header.putLong(padded).put(text);
        while (header.hasRemaining()) {
            header.put((byte) ' ');
        }
        return header.array();
    }

    private static void appendMetadata(StringBuilder json, Map<String, String> metadata) {
        Map<String, String> sorted = new TreeMap<>(Text.BY_CODE_POINT);
        sorted.putAll(metadata);
        Text.appendJson(json, SafetensorsHeader.METADATA_KEY, false);
        json.append(":{");
        sorted.forEach((key, value) -> {
            requireUnicode(key);
            requireUnicode(value);
            separate(json);
            Text.appendJson(json, key, false);
            json.append(':');
            Text.appendJson(json, value, false);
        });
        json.append('}');
    }

    private static void separate(StringBuilder json) {
        if (json.charAt(json.length() - 1) != '{') {
            json.append(',');
        }
    }

    private static void requireUnicode(String text) {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            throw new IllegalArgumentException(Text.quote(text) + " has half a surrogate pair and no UTF-8 form");
        }
    }

    /** Passes on what a source writes, as long as it is not more than its tensor has. */
    private static final class CountedChannel implements WritableByteChannel {
        private final WritableByteChannel target;
        private final Entry entry;
        private long missing;

        CountedChannel(WritableByteChannel target, Entry entry) {
            this.target = target;
            this.entry = entry;
            this.missing = entry.byteSize();
        }

        @Override
        public int write(ByteBuffer bytes) throws IOException {
            if (bytes.remaining() > missing) {
                throw new IllegalStateException("the source of tensor " + Text.quote(entry.name())
                        + " writes more than its " + entry.byteSize() + " bytes");
            }
            int written = target.write(bytes);
            missing -= written;
            return written;
        }

        @Override
        public boolean isOpen() {
            return target.isOpen();
        }

        /** The file stays open for the next tensor. */
        @Override
        public void close() {}
    }
}
