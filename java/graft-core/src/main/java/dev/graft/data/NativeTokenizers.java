package dev.graft.data;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.graft.common.InputException;
import org.jspecify.annotations.Nullable;

/**
 * The Rust tokenizers library, through DJL's binding alone: DJL's {@code HuggingFaceTokenizer} on top of it reports its use over
 * the network and defaults to padding and truncation.
 */
final class NativeTokenizers {
    /** While this is set DJL takes the library from its own jar and never downloads one built for the CUDA it detects. */
    private static final String OFFLINE = "ai.djl.offline";

    private static @Nullable TokenizersLibrary library;

    private NativeTokenizers() {}

    static synchronized TokenizersLibrary library() {
        if (library == null) {
            library = load();
        }
        return library;
    }

    private static TokenizersLibrary load() {
        String before = System.getProperty(OFFLINE);
        System.setProperty(OFFLINE, "true");
        try {
            LibUtils.checkStatus();
            return TokenizersLibrary.LIB;
        } catch (RuntimeException | LinkageError e) {
            Throwable reason = e.getCause() == null ? e : e.getCause();
            throw new InputException(
                    "the native tokenizers library does not load on " + System.getProperty("os.name") + " "
                            + System.getProperty("os.arch") + " (" + reason.getMessage()
                            + "); use linux with glibc 2.34 or newer, macOS arm64 or Windows x64, or data with input_ids",
                    e);
        } finally {
            if (before == null) {
                System.clearProperty(OFFLINE);
            } else {
                System.setProperty(OFFLINE, before);
            }
        }
    }
}
