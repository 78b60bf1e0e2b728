package dev.graft.common;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Native libraries out of jars on the class path, as files that the system can load. They are kept in a folder of the user's
 * ({@code $XDG_CACHE_HOME/graft}, else {@code ~/.cache/graft}), so that only the first run pays for unpacking; where that
 * cannot be written, in a temporary folder of this process.
 *
 * <p>A file appears in the cache whole or not at all: it is written under another name and renamed. Two processes that do it at
 * once write the same bytes, and the second rename replaces the first file, which stays valid for whoever loaded it.
 */
public final class NativeLibraryCache {
    private NativeLibraryCache() {}

    /**
     * Unpacks {@code fileNames}, resources under {@code resourceFolder}, into one folder.
     *
     * @param key names the folder in the cache; the size of each file is added to it
     * @return where each file lies, in the same order
     * @throws FileNotFoundException if a resource isn't on the class path
     */
    public static List<Path> unpack(String resourceFolder, List<String> fileNames, String key) throws IOException {
        return unpack(userFolder(), resourceFolder, fileNames, key);
    }

    static List<Path> unpack(Path cache, String resourceFolder, List<String> fileNames, String key) throws IOException {
        List<URL> resources = new ArrayList<>();
        StringBuilder folderName = new StringBuilder(key);
        for (String fileName : fileNames) {
            URL resource = NativeLibraryCache.class.getResource(resourceFolder + fileName);
            if (resource == null) {
                throw new FileNotFoundException(resourceFolder + fileName + " is not on the class path");
            }
            resources.add(resource);
            folderName.append('-').append(sizeOf(resource));
        }
        try {
            return unpackInto(cache.resolve(folderName.toString()), resources, fileNames);
        } catch (IOException unwritable) {
            // a fresh folder that only this user can write: nobody else can have put a library there
            Path folder = Files.createTempDirectory("graft-native-");
            folder.toFile().deleteOnExit(); // after its files: the last one named goes first
            List<Path> files = unpackInto(folder, resources, fileNames);
            files.forEach(file -> file.toFile().deleteOnExit());
            return files;
        }
    }

    /** The folder that this user's libraries are kept in. */
    public static Path userFolder() {
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path base = xdg != null && Path.of(xdg).isAbsolute()
                ? Path.of(xdg)
                : Path.of(System.getProperty("user.home"), ".cache");
        return base.resolve("graft");
    }

    private static List<Path> unpackInto(Path folder, List<URL> resources, List<String> fileNames) throws IOException {
        Files.createDirectories(folder);
        List<Path> files = new ArrayList<>();
        for (int i = 0; i < resources.size(); i++) {
            Path file = folder.resolve(fileNames.get(i));
            unpackFile(resources.get(i), file);
            files.add(file);
        }
        return files;
    }

    private static void unpackFile(URL resource, Path file) throws IOException {
        long size = sizeOf(resource);
        if (isComplete(file, size)) {
            return;
        }
        Path part = Files.createTempFile(file.getParent(), file.getFileName().toString(), ".part");
        try {
            try (InputStream in = resource.openStream()) {
                Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
            }
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException failed) {
            // Windows refuses to replace a library that another process has loaded: then it is there already
            if (!isComplete(file, size)) {
                throw failed;
            }
        } finally {
            Files.deleteIfExists(part);
        }
    }

    private static boolean isComplete(Path file, long size) throws IOException {
        return Files.isRegularFile(file) && Files.size(file) == size;
    }

    private static long sizeOf(URL resource) throws IOException {
        URLConnection connection = resource.openConnection();
        connection.setUseCaches(true);
        return connection.getContentLengthLong();
    }
}
