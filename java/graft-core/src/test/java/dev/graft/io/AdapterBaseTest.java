package dev.graft.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class AdapterBaseTest {
    private static final Path ADAPTER = Path.of("adapter");

    @Test
    void aFingerprintIsReadAsItWasWritten() {
        Map<String, String> metadata = new HashMap<>();
        AdapterBase.putFingerprint(metadata, -2);
        AdapterBase base = AdapterBase.of("some/base", metadata);
        assertThat(base).isEqualTo(new AdapterBase("some/base", -2L));
        assertThat(base.hexFingerprint()).isEqualTo("fffffffffffffffe");
        base.check(ADAPTER, -2, "here");
        assertThatThrownBy(() -> base.check(ADAPTER, 2, "here"))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("adapter: trained on a base with fingerprint fffffffffffffffe")
                .hasMessageContaining("(it names some/base), but here has 0000000000000002");
    }

    @Test
    void whatIsNotToldIsNotChecked() {
        metadataOf("graft_base_fingerprint", "no number").check(ADAPTER, 1, "here");
        AdapterBase silent = metadataOf("format", "pt");
        silent.check(ADAPTER, 1, "here");
        assertThat(silent.hexFingerprint()).isNull();
        assertThat(silent.hint()).isEmpty();
    }

    private static AdapterBase metadataOf(String key, String value) {
        return AdapterBase.of(null, Map.of(key, value));
    }
}
