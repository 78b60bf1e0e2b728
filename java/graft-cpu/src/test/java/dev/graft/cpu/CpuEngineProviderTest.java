package dev.graft.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CpuEngineProviderTest {
    @Test
    void isFoundByName() {
        try (Engine engine = Engines.open("cpu")) {
            assertThat(engine.name()).isEqualTo("cpu");
            assertThat(engine.description()).isNotBlank().doesNotContain("\n");
        }
    }

    @Test
    void threadsAreThoseAskedForOrAllProcessors() {
        assertThat(CpuEngineProvider.threads("x", "3")).isEqualTo(3);
        int all = Runtime.getRuntime().availableProcessors();
        assertThat(CpuEngineProvider.threads("x", null)).isEqualTo(all);
        assertThat(CpuEngineProvider.threads("x", " ")).isEqualTo(all);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "-2", "two", "1.5", "99999999999"})
    void refusesOtherNumbersOfThreads(String value) {
        assertThatThrownBy(() -> CpuEngineProvider.threads("graft.threads", value))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("graft.threads=" + value)
                .hasMessageNotContaining("\n");
    }
}
