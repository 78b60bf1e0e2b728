package dev.graft.io;

import static dev.graft.io.Fixtures.assertInputError;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AtomicFilesTest {
    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void nameFile() {
        file = folder.resolve("adapter_config.json");
    }

    @Test
    void writesNewFilesAndReplacesOldOnes() throws IOException {
        AtomicFiles.writeString(file, "caf\u00e9");
        assertThat(file).hasBinaryContent(new byte[] {'c', 'a', 'f', (byte) 0xc3, (byte) 0xa9});
        AtomicFiles.writeBytes(file, new byte[] {1, 2, 3});
        assertThat(file).hasBinaryContent(new byte[] {1, 2, 3});
        assertThat(Fixtures.list(folder)).containsExactly(file);
    }

    @Test
    void theOldFileStaysUntilTheNewOneIsComplete() throws IOException {
        Files.writeString(file, "old");
        AtomicFiles.write(file, out -> {
            out.write("new".getBytes());
            out.flush();
            assertThat(file).hasContent("old");
        });
        assertThat(file).hasContent("new");
    }

    @Test
    void aWriterMayCloseItsStream() {
        AtomicFiles.write(file, out -> Json.mapper().writeValue(out, Map.of("r", 8)));
        assertThat(file).hasContent("{\"r\":8}");
    }

    @Test
    void aLinkIsReplacedAndItsTargetStays() throws IOException {
        Path target = Files.writeString(folder.resolve("target"), "kept");
        Files.createSymbolicLink(file, target);
        AtomicFiles.writeString(file, "new");
        assertThat(target).hasContent("kept");
        assertThat(file).hasContent("new").isRegularFile();
        assertThat(Files.isSymbolicLink(file)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "No space left on device, the disk is full, free space",
        "There is not enough space on the disk, the disk is full, free space",
        "Disk quota exceeded, Disk quota exceeded, free space within the quota",
        "Read-only file system, Read-only file system, on a disk that can be written",
        "Input/output error, Input/output error, check the disk",
    })
    void failuresOfTheDiskAreToldWithARemedy(String reason, String what, String remedy) throws IOException {
        assertRefused(new IOException(reason), what, remedy);
        assertRefused(new FileSystemException("x.tmp", null, reason), what, remedy);
        assertRefused(new AccessDeniedException("x.tmp"), "permission denied", "may write");
    }

    private void assertRefused(IOException fault, String what, String remedy) throws IOException {
        Files.writeString(file, "old");
        assertInputError(
                        file,
                        () -> AtomicFiles.write(file, out -> {
                            out.write(1);
                            throw fault;
                        }))
                .contains(what, remedy);
        assertInputError(
                        file,
                        () -> AtomicFiles.write(file, out -> {
                            throw new UncheckedIOException(fault);
                        }))
                .contains(what, remedy);
        assertOnlyTheOldFile();
    }

    /** The operating system's own refusal, not one made up here. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void aDeviceWithoutSpaceIsAFullDisk() throws IOException {
        Files.writeString(file, "old");
        assertInputError(
                        file,
                        () -> AtomicFiles.write(file, out -> {
                            try (OutputStream full = Files.newOutputStream(Path.of("/dev/full"))) {
                                full.write(1);
                            }
                        }))
                .contains("the disk is full");
        assertOnlyTheOldFile();
    }

    @Test
    void whatTheBodyThrowsPassesThrough() throws IOException {
        Files.writeString(file, "old");
        assertThatThrownBy(() -> AtomicFiles.write(file, out -> {
                    out.write(new byte[100_000]);
                    throw new IllegalStateException("mine");
                }))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("mine");
        assertOnlyTheOldFile();
    }

    @Test
    void refusesFoldersAndMissingFolders() throws IOException {
        assertInputError(folder, () -> AtomicFiles.writeString(folder, "x")).contains("is a folder");
        Path root = folder.getRoot();
        assertInputError(root, () -> AtomicFiles.writeString(root, "x")).contains("is a folder");
        Path nowhere = folder.resolve("missing/config.json");
        assertInputError(nowhere, () -> AtomicFiles.writeString(nowhere, "x")).contains("folder does not exist");
        Files.writeString(file, "old");
        Path under = file.resolve("config.json");
        assertInputError(under, () -> AtomicFiles.writeString(under, "x")).contains("Not a directory");
        assertOnlyTheOldFile();
    }

    @Test
    void anInterruptedThreadLeavesTheOldFile() throws IOException {
        Files.writeString(file, "old");
        Thread.currentThread().interrupt();
        try {
            assertInputError(file, () -> AtomicFiles.writeString(file, "new")).contains("interrupted");
        } finally {
            Thread.interrupted();
        }
        assertOnlyTheOldFile();
    }

    private void assertOnlyTheOldFile() throws IOException {
        assertThat(file).hasContent("old");
        assertThat(Fixtures.list(folder)).containsExactly(file);
    }
}
