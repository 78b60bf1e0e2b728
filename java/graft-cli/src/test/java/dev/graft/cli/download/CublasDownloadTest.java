package dev.graft.cli.download;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.graft.common.InputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a server that holds a jar like bytedeco's, small. */
class CublasDownloadTest {
    private static final int PADDING = 3_000_000;

    @TempDir
    Path folder;

    private final byte[] cublas = bytes(70_000, 1);
    private final byte[] cublasLt = bytes(200_000, 2);
    private byte[] jar = new byte[0];
    private HttpServer server;
    private boolean answersRanges = true;
    private long sent;

    @BeforeEach
    void serve() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            add(zip, "org/bytedeco/cuda/linux-x86_64/libcudnn.so.9", bytes(PADDING, 3));
            add(zip, "org/bytedeco/cuda/linux-x86_64/libcublas.so.12", cublas);
            add(zip, "org/bytedeco/cuda/linux-x86_64/libcublasLt.so.12", cublasLt);
            zip.setComment("a comment after the directory");
        }
        jar = bytes.toByteArray();
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/cuda.jar", this::answer);
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private static void add(ZipOutputStream zip, String name, byte[] contents) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(contents);
        zip.closeEntry();
    }

    /** Half random, half zeros: something to compress. */
    private static byte[] bytes(int count, long seed) {
        byte[] bytes = new byte[count];
        byte[] random = new byte[count / 2];
        new Random(seed).nextBytes(random);
        System.arraycopy(random, 0, bytes, 0, random.length);
        return bytes;
    }

    private void answer(HttpExchange exchange) throws IOException {
        String range = exchange.getRequestHeaders().getFirst("Range");
        if (exchange.getRequestMethod().equals("HEAD")) {
            exchange.getResponseHeaders().add("content-length", Integer.toString(jar.length));
            exchange.sendResponseHeaders(200, -1);
        } else if (range == null || !answersRanges) {
            exchange.sendResponseHeaders(200, jar.length);
            exchange.getResponseBody().write(jar);
        } else {
            String[] ends = range.substring("bytes=".length()).split("-");
            int from = Integer.parseInt(ends[0]);
            int count = Integer.parseInt(ends[1]) - from + 1;
            sent += count;
            exchange.sendResponseHeaders(206, count);
            exchange.getResponseBody().write(jar, from, count);
        }
        exchange.close();
    }

    private URI uri(String file) {
        return URI.create("http://localhost:" + server.getAddress().getPort() + file);
    }

    private void fetch() {
        CublasDownload.run(uri("/cuda.jar"), folder.resolve("cublas"), (library, bytes, all) -> {});
    }

    @Test
    void takesTheTwoLibrariesAndLittleElse() {
        fetch();
        assertThat(folder.resolve("cublas/libcublas.so.12")).hasBinaryContent(cublas);
        assertThat(folder.resolve("cublas/libcublasLt.so.12")).hasBinaryContent(cublasLt);
        assertThat(sent).isLessThan(400_000);
    }

    @Test
    void theSecondTimeNothingIsTransferredAgain() throws IOException {
        fetch();
        Object time = Files.getAttribute(folder.resolve("cublas/libcublasLt.so.12"), "lastModifiedTime");
        long before = sent;
        fetch();
        assertThat(Files.getAttribute(folder.resolve("cublas/libcublasLt.so.12"), "lastModifiedTime"))
                .isEqualTo(time);
        assertThat(sent - before).as("only the directory").isLessThan(70_000);
    }

    @Test
    void whatArrivesDamagedIsNotKept() {
        int inside = new String(jar, java.nio.charset.StandardCharsets.ISO_8859_1).lastIndexOf("libcublasLt.so.12");
        int data = new String(jar, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf("libcublasLt.so.12");
        assertThat(data).isLessThan(inside);
        jar[data + 5000] ^= 1;
        assertThatThrownBy(this::fetch)
                .isInstanceOf(InputException.class)
                .hasMessageContaining("try again")
                .message()
                .doesNotContain("\n");
        assertThat(folder.resolve("cublas/libcublasLt.so.12")).doesNotExist();
    }

    @Test
    void serversWithoutRangesAndMissingFilesAreOneLine() {
        answersRanges = false;
        assertThatThrownBy(this::fetch)
                .isInstanceOf(InputException.class)
                .hasMessageContaining("does not send parts of files");
        assertThatThrownBy(() -> CublasDownload.run(uri("/other.jar"), folder, (library, bytes, all) -> {}))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("the server answers 404");
    }
}
