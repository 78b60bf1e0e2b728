package dev.graft.bottleneck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.bottleneck.BottleneckConfig.Placement;
import dev.graft.common.InputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BottleneckConfigTest {
    @ParameterizedTest
    @ValueSource(ints = {0, -3})
    void aBottleneckHasUnits(int size) {
        assertThatThrownBy(() -> new BottleneckConfig(size, Placement.HOULSBY))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("--bottleneck " + size + ": ")
                .hasMessageNotContaining("\n");
    }

    @Test
    void placementsAreReadAsTheyAreTyped() {
        for (Placement placement : Placement.values()) {
            assertThat(Placement.parse(placement.typed())).isEqualTo(placement);
        }
        assertThatThrownBy(() -> Placement.parse("everywhere"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("houlsby")
                .hasMessageContaining("pfeiffer");
    }

    @Test
    void countsWeightsAndBiases() {
        assertThat(new BottleneckConfig(3, Placement.PFEIFFER).parameterCount(10, 2))
                .isEqualTo(2 * (3 * 10 + 3 + 10 * 3 + 10));
        assertThat(new BottleneckConfig(3, Placement.HOULSBY).parameterCount(10, 2))
                .isEqualTo(4 * (3 * 10 + 3 + 10 * 3 + 10));
    }

    /** The library stores d / size and divides again; every size must come back. */
    @Test
    void everySizeSurvivesTheReductionFactor() {
        for (int hiddenSize : new int[] {1, 40, 576, 2048, 4096, 5120}) {
            for (int size = 1; size <= 2 * hiddenSize; size += size < 300 ? 1 : 37) {
                Object factor = BottleneckConfigFile.reductionFactor(hiddenSize, size);
                assertThat(BottleneckConfigFile.size(hiddenSize, ((Number) factor).doubleValue()))
                        .as("%d of %d", size, hiddenSize)
                        .isEqualTo(size);
            }
        }
        assertThat(BottleneckConfigFile.reductionFactor(576, 36)).isEqualTo(16);
    }

    /** Values of Python: {@code max(1, int(d // factor))}. */
    @ParameterizedTest
    @CsvSource({"768, 16, 48", "100, 16, 6", "10, 0.1, 99", "8, 100, 1", "7, 0.7, 10", "1, 0.1, 9"})
    void sizesAreThoseOfTheLibrary(int hiddenSize, double factor, int size) {
        assertThat(BottleneckConfigFile.size(hiddenSize, factor)).isEqualTo(size);
    }
}
