package dev.graft.cli.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The size of a file that was just written or read. */
public final class FileSize {
    private FileSize() {}

    /** In bytes. */
    public static long of(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }
}
