package dev.graft.cli.download;

import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * cuBLAS 12.6 out of {@code org.bytedeco:cuda} on Maven Central, the version that JCuda 12.6 was made for: two libraries of a 2 GB
 * jar, about 390 MB on the way.
 */
public final class CublasDownload {
    /** The jar that holds them. */
    public static final URI JAR = URI.create("https://repo1.maven.org/maven2/org/bytedeco/cuda/12.6-9.5-1.5.11/"
            + "cuda-12.6-9.5-1.5.11-linux-x86_64-redist.jar");

    private static final List<String> LIBRARIES = List.of("libcublasLt.so.12", "libcublas.so.12");

    /** Told how far a download is. */
    @FunctionalInterface
    public interface Progress {
        void at(String library, long bytes, long ofBytes);
    }

    private CublasDownload() {}

    /**
     * Writes the libraries into {@code folder}; those that are there already are left alone.
     *
     * @throws InputException where the network or the disk refuses
     */
    public static void run(URI jar, Path folder, Progress progress) {
        AtomicFiles.createDirectories(folder);
        try (RemoteZip zip = new RemoteZip(jar)) {
            List<RemoteZip.Entry> entries = zip.entries();
            for (String library : LIBRARIES) {
                RemoteZip.Entry entry = entries.stream()
                        .filter(candidate -> candidate.name().endsWith("/" + library))
                        .findFirst()
                        .orElseThrow(() -> new IOException("it holds no " + library));
                fetch(zip, entry, folder.resolve(library), library, progress);
            }
        } catch (IOException e) {
            throw new InputException(jar + ": " + e.getMessage() + "; check the connection and try again");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InputException("interrupted; run it again");
        }
    }

    private static void fetch(RemoteZip zip, RemoteZip.Entry entry, Path file, String library, Progress progress)
            throws IOException, InterruptedException {
        if (Files.isRegularFile(file) && Files.size(file) == entry.bytes()) {
            return;
        }
        InterruptedException[] interrupted = new InterruptedException[1];
        AtomicFiles.write(file, out -> {
            try {
                zip.copy(entry, out, bytes -> progress.at(library, bytes, entry.bytes()));
            } catch (InterruptedException e) {
                interrupted[0] = e;
                throw new IOException("interrupted", e);
            }
        });
        if (interrupted[0] != null) {
            throw interrupted[0];
        }
    }
}
