package dev.graft.io;

import dev.graft.common.InputException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The base model that an adapter was trained on, as far as the adapter's files tell.
 *
 * @param model its name, which may be a folder; null where they have none
 * @param fingerprint of its weights; null for files that other tools wrote
 */
public record AdapterBase(@Nullable String model, @Nullable Long fingerprint) {
    /** Goes into the safetensors metadata, which other readers ignore. */
    private static final String FINGERPRINT_KEY = "graft_base_fingerprint";

    /**
     * What a name and the metadata of a safetensors file tell; a fingerprint that cannot be read counts as none.
     *
     * @param model null where there is no name
     */
    public static AdapterBase of(@Nullable String model, Map<String, String> metadata) {
        String fingerprint = metadata.get(FINGERPRINT_KEY);
        try {
            return new AdapterBase(model, fingerprint == null ? null : HexFormat.fromHexDigitsToLong(fingerprint));
        } catch (IllegalArgumentException e) {
            return new AdapterBase(model, null);
        }
    }

    /** Adds a base's fingerprint to the metadata of a safetensors file. */
    public static void putFingerprint(Map<String, String> metadata, long fingerprint) {
        metadata.put(FINGERPRINT_KEY, HexFormat.of().toHexDigits(fingerprint));
    }

    /** The fingerprint in 16 digits; null where there is none. */
    public @Nullable String hexFingerprint() {
        return fingerprint == null ? null : HexFormat.of().toHexDigits(fingerprint);
    }

    /** For the end of a sentence: which base the files name, in brackets; empty where they name none. */
    public String hint() {
        return model == null ? "" : " (it names " + model + ")";
    }

    /**
     * Checks that an adapter was trained on given weights, or does not tell.
     *
     * @param adapter its folder
     * @param baseFingerprint of the weights in {@code baseFolder}
     * @throws InputException where it was trained on others
     */
    public void check(Path adapter, long baseFingerprint, String baseFolder) {
        if (fingerprint != null && fingerprint != baseFingerprint) {
            throw new InputException(adapter + ": trained on a base with fingerprint " + hexFingerprint() + hint()
                    + ", but " + baseFolder + " has " + HexFormat.of().toHexDigits(baseFingerprint)
                    + "; give the right base, or --force to go on");
        }
    }
}
