package dev.graft.io;

import dev.graft.common.InputException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes files so that a reader sees the old contents or the new, never a part, even after a crash: everything goes to a
 * temporary file in the same folder, which is flushed to the disk and then renamed over the target. When anything fails the
 * temporary file is deleted and the target is as it was. A target that is a symbolic link is replaced by a file; what it
 * pointed to stays.
 *
 * <p>All methods throw {@link InputException} with the file, the fault and a remedy when the file system refuses: no such
 * folder, no permission, a full disk. What the body itself throws passes through.
 */
public final class AtomicFiles {
    private static final Logger LOG = LoggerFactory.getLogger(AtomicFiles.class);
    private static final int BUFFER_BYTES = 1 << 16;

    private AtomicFiles() {}

    /** Makes {@code folder} and what is missing above it; nothing where it is there already. */
    public static void createDirectories(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw Faults.writing(folder, e);
        }
    }

    /** Replaces {@code file} by what {@code body} writes; the stream is buffered, and closing it is allowed but not needed. */
    public static void write(Path file, IOConsumer<? super OutputStream> body) {
        writeChannel(file, channel -> {
            OutputStream out = new UnclosedStream(Channels.newOutputStream(channel));
            body.accept(out);
            out.flush();
        });
    }

    /** Replaces {@code file} by {@code bytes}. */
    public static void writeBytes(Path file, byte[] bytes) {
        write(file, out -> out.write(bytes));
    }

    /** Replaces {@code file} by {@code text} in UTF-8. */
    public static void writeString(Path file, String text) {
        writeBytes(file, text.getBytes(StandardCharsets.UTF_8));
    }

    /** Replaces {@code file} by what {@code body} writes into an unbuffered channel, which it must leave open. */
    public static void writeChannel(Path file, IOConsumer<? super WritableByteChannel> body) {
        Path target = file.toAbsolutePath();
        Path folder = target.getParent();
        if (folder == null || Files.isDirectory(target)) {
            throw new InputException("cannot write " + file + ": it is a folder; name a file inside it");
        }
        Path temporary = temporaryFor(folder, target);
        try {
            try (FileChannel channel =
                    FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                body.accept(channel);
                channel.force(true);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw Faults.writing(file, e);
        } catch (UncheckedIOException e) {
            throw Faults.writing(file, e.getCause());
        } finally {
            deleteLeftover(temporary);
        }
        flushFolder(folder);
    }

    /** Deletes a folder and all in it; nothing where there is none. Not atomic: what is left after a failure is a part. */
    public static void deleteTree(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw Faults.writing(folder, e);
        } catch (UncheckedIOException e) {
            throw Faults.writing(folder, e.getCause());
        }
    }

    private static Path temporaryFor(Path folder, Path target) {
        String unique = HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextLong());
        return folder.resolve("." + target.getFileName() + "." + unique + ".tmp");
    }

    private static void deleteLeftover(Path temporary) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            LOG.warn("cannot delete {}, which is no longer needed: {}", temporary, e.toString());
        }
    }

    /**
     * Makes the rename itself survive a power failure. The file is complete and in place by now, and some file systems (and
     * Windows) cannot flush folders, so failing here is not failing to write.
     */
    private static void flushFolder(Path folder) {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            LOG.debug("cannot flush the folder {}: {}", folder, e.toString());
        }
    }

    /** Keeps the file open when a writer such as Jackson closes its stream: it must still be flushed to the disk. */
    private static final class UnclosedStream extends BufferedOutputStream {
        UnclosedStream(OutputStream out) {
            super(out, BUFFER_BYTES);
        }

        @Override
        public void close() throws IOException {
            flush();
        }
    }
}
