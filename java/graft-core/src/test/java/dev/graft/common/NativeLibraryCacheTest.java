package dev.graft.common;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryCacheTest {
    private static final String FOLDER = "/dev/graft/common/";
    private static final List<String> FILES = List.of("Philox.class", "InputException.class"); // any resource will do

    @TempDir
    private Path cache;

    private List<Path> unpack() throws IOException {
        return NativeLibraryCache.unpack(cache, FOLDER, FILES, "key");
    }

    private static byte[] resource(String name) throws IOException {
        try (var in = NativeLibraryCache.class.getResourceAsStream(FOLDER + name)) {
            return in.readAllBytes();
        }
    }

    @Test
    void unpacksOnceUnderKeyAndSizes() throws IOException {
        List<Path> files = unpack();
        byte[] first = resource(FILES.get(0));
        byte[] second = resource(FILES.get(1));
        assertThat(files.get(0)).hasBinaryContent(first);
        assertThat(files.get(1)).hasBinaryContent(second);
        assertThat(files.get(0).getParent()).isEqualTo(cache.resolve("key-" + first.length + "-" + second.length));
        Object time = Files.getAttribute(files.get(0), "lastModifiedTime");
        assertThat(unpack()).isEqualTo(files);
        assertThat(Files.getAttribute(files.get(0), "lastModifiedTime")).isEqualTo(time);
    }

    @Test
    void replacesWhatIsCutShort() throws IOException {
        Path file = unpack().get(0);
        Files.write(file, new byte[] {1, 2, 3});
        assertThat(unpack().get(0)).hasBinaryContent(resource(FILES.get(0)));
    }

    @Test
    void leavesWholeFilesOnlyWhenSeveralUnpackAtOnce() throws IOException {
        var runs = IntStream.range(0, 4)
                .mapToObj(i -> CompletableFuture.supplyAsync(() -> {
                    try {
                        return unpack();
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                }))
                .toList();
        runs.forEach(CompletableFuture::join);
        try (var left = Files.list(runs.get(0).join().get(0).getParent())) {
            assertThat(left.map(path -> path.getFileName().toString())).containsExactlyInAnyOrderElementsOf(FILES);
        }
    }

    @Test
    void fallsBackToATemporaryFolder() throws IOException {
        Path notAFolder = Files.writeString(cache.resolve("file"), "in the way");
        Path file = NativeLibraryCache.unpack(notAFolder, FOLDER, FILES, "key").get(0);
        assertThat(file).hasBinaryContent(resource(FILES.get(0)));
        assertThat(file.startsWith(cache)).isFalse();
    }

    @Test
    void saysWhatIsMissing() {
        assertThatThrownBy(() -> NativeLibraryCache.unpack(cache, FOLDER, List.of("no-such-file"), "key"))
                .isInstanceOf(FileNotFoundException.class)
                .hasMessageContaining("no-such-file is not on the class path");
    }
}
