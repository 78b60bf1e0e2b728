package dev.graft.common;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RandomFillTest {
    private static final int COUNT = 100_001;
    private static final RandomPurpose PURPOSE = RandomPurpose.INITIALISE_A;

    @Test
    void normalHasTheMomentsOfANormalDistribution() {
        float[] values = RandomFill.normal(3, PURPOSE, 5, COUNT, 2);
        // standard errors of the four estimates: σ/√n, σ²√(2/n), σ³√(15/n), σ⁴√(96/n); five of each
        double n = Math.sqrt(COUNT);
        assertThat(moment(values, 1)).isCloseTo(0, within(5 * 2 / n));
        assertThat(moment(values, 2)).isCloseTo(4, within(5 * 4 * Math.sqrt(2) / n));
        assertThat(moment(values, 3)).isCloseTo(0, within(5 * 8 * Math.sqrt(15) / n));
        assertThat(moment(values, 4)).isCloseTo(48, within(5 * 16 * Math.sqrt(96) / n));
        double neighbours = IntStream.range(1, COUNT)
                        .mapToDouble(i -> values[i] * values[i - 1])
                        .sum()
                / COUNT;
        assertThat(neighbours).as("neighbours are independent").isCloseTo(0, within(5 * 4 / n));
    }

    @Test
    void uniformHasTheMomentsAndBoundsOfAUniformDistribution() {
        float[] values = RandomFill.uniform(3, PURPOSE, 5, COUNT, 0.5f);
        double n = Math.sqrt(COUNT);
        assertThat(moment(values, 1)).isCloseTo(0, within(5 * 0.2887 / n));
        assertThat(moment(values, 2)).isCloseTo(1 / 12.0, within(5 * 0.0745 / n));
        for (float value : values) {
            assertThat(value).isBetween(-0.5f, Math.nextDown(0.5f));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 63, 4098})
    void aValueDependsOnItsPositionAlone(int count) {
        assertThat(RandomFill.normal(9, PURPOSE, 1, count, 1))
                .isEqualTo(Arrays.copyOf(RandomFill.normal(9, PURPOSE, 1, 5000, 1), count));
        assertThat(RandomFill.uniform(9, PURPOSE, 1, count, 1))
                .isEqualTo(Arrays.copyOf(RandomFill.uniform(9, PURPOSE, 1, 5000, 1), count));
    }

    @Test
    void seedPurposeAndStreamEachGiveOtherNumbers() {
        float[] base = RandomFill.normal(1, PURPOSE, 1, 8, 1);
        assertThat(RandomFill.normal(2, PURPOSE, 1, 8, 1)).isNotEqualTo(base);
        assertThat(RandomFill.normal(1L << 32 | 1, PURPOSE, 1, 8, 1)).isNotEqualTo(base);
        assertThat(RandomFill.normal(1, RandomPurpose.INITIALISE_WEIGHTS, 1, 8, 1))
                .isNotEqualTo(base);
        assertThat(RandomFill.normal(1, PURPOSE, 2, 8, 1)).isNotEqualTo(base);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 13, 4098})
    void permutationHoldsEveryIndexOnce(int count) {
        int[] order = RandomFill.permutation(4, 2, count);
        assertThat(Arrays.stream(order).sorted().toArray())
                .isEqualTo(IntStream.range(0, count).toArray());
        assertThat(RandomFill.permutation(4, 2, count)).isEqualTo(order);
    }

    @Test
    void permutationsDifferBySeedAndEpochAndReachEveryOrder() {
        int[] order = RandomFill.permutation(4, 2, 100);
        assertThat(RandomFill.permutation(5, 2, 100)).isNotEqualTo(order);
        assertThat(RandomFill.permutation(4, 3, 100)).isNotEqualTo(order);
        int[] seen = new int[27];
        for (int epoch = 0; epoch < 6000; epoch++) {
            int[] three = RandomFill.permutation(1, epoch, 3);
            seen[three[0] * 9 + three[1] * 3 + three[2]]++;
        }
        assertThat(Arrays.stream(seen).filter(count -> count > 0).boxed())
                .as("6 orders, each 1000 ± 5 · 29 times")
                .hasSize(6)
                .allSatisfy(count -> assertThat(count).isBetween(855, 1145));
    }

    private static double moment(float[] values, int power) {
        return IntStream.range(0, values.length)
                        .mapToDouble(i -> Math.pow(values[i], power))
                        .sum()
                / values.length;
    }
}
