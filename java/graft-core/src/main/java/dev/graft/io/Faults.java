package dev.graft.io;

import dev.graft.common.InputException;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;

/** Failures of the file system, told in one line: which file, what went wrong, what to do. */
final class Faults {
    private Faults() {}

    /** Throws unless {@code file} is something whose bytes can be read: it exists and is neither a folder nor a device. */
    static void requireFile(Path file) {
        if (Files.isDirectory(file)) {
            throw new InputException(file + " is a folder where a file is needed; name a file inside it");
        }
        if (!Files.exists(file)) {
            throw new InputException(file + " does not exist; check the path");
        }
        if (!Files.isRegularFile(file)) {
            throw new InputException(file + " is not a regular file; copy its contents to a file and name that");
        }
    }

    static InputException reading(Path file, IOException cause) {
        String what;
        if (cause instanceof NoSuchFileException) {
            what = "it does not exist; check the path";
        } else if (cause instanceof AccessDeniedException) {
            what = "permission denied; give this user the right to read it";
        } else {
            what = reason(cause) + "; check the disk and try again";
        }
        return new InputException("cannot read " + file + ": " + what, cause);
    }

    static InputException writing(Path file, IOException cause) {
        return new InputException("cannot write " + file + ": " + whyNotWritten(cause), cause);
    }

    private static String whyNotWritten(IOException cause) {
        if (cause instanceof NoSuchFileException) {
            return "its folder does not exist; create the folder first";
        }
        if (cause instanceof AccessDeniedException) {
            return "permission denied; choose a folder that this user may write";
        }
        if (cause instanceof ClosedByInterruptException) {
            return "interrupted; run it again";
        }
        String reason = reason(cause);
        String known = reason.toLowerCase(Locale.ROOT);
        if (known.contains("no space left") || known.contains("not enough space")) {
            return "the disk is full (" + reason + "); free space or choose a folder on another disk";
        }
        if (known.contains("quota")) {
            return reason + "; free space within the quota or choose a folder on another disk";
        }
        if (known.contains("read-only")) {
            return reason + "; choose a folder on a disk that can be written";
        }
        return reason + "; check the disk and the folder, then try again";
    }

    /** The operating system's words where there are any; otherwise what Java says. */
    private static String reason(IOException cause) {
        String reason = cause instanceof FileSystemException system && system.getReason() != null
                ? system.getReason()
                : cause.getMessage();
        return reason == null ? cause.getClass().getSimpleName() : Text.oneLine(reason);
    }
}
