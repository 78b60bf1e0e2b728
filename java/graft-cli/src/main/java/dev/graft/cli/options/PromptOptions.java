package dev.graft.cli.options;

import dev.graft.common.InputException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What to continue: exactly one of a text, a file and token ids. */
public final class PromptOptions {
    private static final String STANDARD_INPUT = "-";

    @Option(names = "--prompt", paramLabel = "TEXT", required = true, description = "The text to continue.")
    private @Nullable String text;

    @Option(
            names = "--prompt-file",
            paramLabel = "FILE",
            required = true,
            description = "A file with the text (UTF-8), or - for standard input.")
    private @Nullable String file;

    @Option(
            names = "--input-ids",
            paramLabel = "IDS",
            required = true,
            split = ",",
            description = "Token ids, such as 1,2,3, for models without a tokenizer; prints ids.")
    private int @Nullable [] ids;

    /** The ids given; null where a text is. */
    public int @Nullable [] ids() {
        return ids;
    }

    /** The text given. */
    public String text() {
        if (text != null) {
            return text;
        }
        if (file == null) {
            throw new IllegalStateException("the prompt is token ids");
        }
        try {
            return file.equals(STANDARD_INPUT) ? read(System.in) : Files.readString(Path.of(file));
        } catch (NoSuchFileException e) {
            throw new InputException("--prompt-file " + file + ": no such file; check the path", e);
        } catch (IOException e) {
            throw new InputException(
                    "--prompt-file " + file + ": cannot be read (" + e.getMessage() + "); give a UTF-8 text file", e);
        }
    }

    private static String read(InputStream input) throws IOException {
        return new String(input.readAllBytes(), StandardCharsets.UTF_8);
    }
}
