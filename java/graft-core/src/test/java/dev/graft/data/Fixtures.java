package dev.graft.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** The committed tokenizers and templates, and short ways to write messages. */
final class Fixtures {
    /** Ids of the byte-level fixture. */
    static final int END_OF_TEXT = 264;

    static final int IM_START = 265;
    static final int IM_END = 266;

    private Fixtures() {}

    static Path resource(String name) {
        try {
            return Path.of(Objects.requireNonNull(Fixtures.class.getResource("/dev/graft/data/" + name), name)
                    .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    static Path tokenizer(String name) {
        return resource("tokenizers/" + name);
    }

    static ChatTemplate template(String name) {
        try {
            return ChatTemplate.of(
                    Files.readString(resource("templates/" + name + ".jinja")),
                    Map.of("bos_token", "<s>", "eos_token", "</s>"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Map<String, Object> user(String content) {
        return Map.of("role", "user", "content", content);
    }

    static Map<String, Object> assistant(String content) {
        return Map.of("role", "assistant", "content", content);
    }

    static Map<String, Object> system(String content) {
        return Map.of("role", "system", "content", content);
    }

    static List<String> targets(ChatTemplate.MaskedChat chat) {
        return chat.targets().stream()
                .map(span -> chat.text().substring(span.start(), span.end()))
                .toList();
    }
}
