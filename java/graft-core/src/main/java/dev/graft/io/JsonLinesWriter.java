package dev.graft.io;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Writes a file of JSON lines, flushed line by line so that others can follow it. */
public final class JsonLinesWriter implements AutoCloseable {
    private final Path file;
    private final BufferedWriter writer;

    /** @param kept what the file begins with, whatever was in it before */
    public JsonLinesWriter(Path file, String kept) {
        this.file = file;
        AtomicFiles.writeString(file, kept);
        try {
            this.writer = Files.newBufferedWriter(file, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    /** Adds a line. */
    public void write(ObjectNode line) {
        try {
            writer.write(line + "\n");
            writer.flush();
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    private InputException cannotWrite(IOException e) {
        return new InputException(
                file + ": cannot be written (" + e.getMessage() + "); free space or choose another --out", e);
    }

    @Override
    public void close() {
        try {
            writer.close();
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }
}
