package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Choosing the next token. */
class SamplingTest {
    /** Probabilities 0.1, 0.4, 0.2, 0.3. */
    private static final float[] LOGITS = {
        (float) Math.log(0.1), (float) Math.log(0.4), (float) Math.log(0.2), (float) Math.log(0.3)
    };

    private static double[] frequencies(Sampling sampling) {
        int draws = 20_000;
        double[] counts = new double[4];
        for (int i = 0; i < draws; i++) {
            counts[sampling.choose(LOGITS, i)] += 1.0 / draws;
        }
        return counts;
    }

    @Test
    void drawsFollowTheProbabilities() {
        assertThat(frequencies(new Sampling(1, 0, 1, 3)))
                .containsExactly(new double[] {0.1, 0.4, 0.2, 0.3}, within(0.015));
    }

    @Test
    void temperatureSharpensAndFlattens() {
        // p² / Σ p² and √p / Σ √p
        assertThat(frequencies(new Sampling(0.5, 0, 1, 3)))
                .containsExactly(new double[] {0.0333, 0.5333, 0.1333, 0.3}, within(0.015));
        assertThat(frequencies(new Sampling(2, 0, 1, 3)))
                .containsExactly(new double[] {0.1628, 0.3255, 0.2302, 0.2819}, within(0.015));
    }

    @Test
    void topKKeepsTheMostLikely() {
        assertThat(frequencies(new Sampling(1, 2, 1, 3)))
                .containsExactly(new double[] {0, 4 / 7.0, 0, 3 / 7.0}, within(0.015));
        assertThat(frequencies(new Sampling(1, 1, 1, 3))[1]).isCloseTo(1, within(1e-6));
        assertThat(frequencies(new Sampling(1, 99, 1, 3)))
                .containsExactly(new double[] {0.1, 0.4, 0.2, 0.3}, within(0.015));
    }

    @ParameterizedTest
    @CsvSource({"0.39, 1", "0.41, 2", "0.69, 2", "0.71, 3", "0.95, 4", "1, 4"})
    void topPKeepsAsManyAsItTakes(double topP, int kept) {
        assertThat(Arrays.stream(frequencies(new Sampling(1, 0, topP, 3))).filter(f -> f > 0))
                .hasSize(kept);
    }

    @Test
    void topPCountsWhatTopKLeft() {
        // of 0.4 and 0.3 the first alone is 57 %
        assertThat(frequencies(new Sampling(1, 2, 0.55, 3))[1]).isCloseTo(1, within(1e-6));
    }

    @Test
    void zeroIsGreedyAndTiesGoToTheLowestId() {
        assertThat(Sampling.GREEDY.choose(LOGITS, 5)).isEqualTo(1);
        assertThat(Sampling.GREEDY.choose(new float[] {1, 3, 3, 2}, 0)).isEqualTo(1);
        assertThat(new Sampling(1e-8, 0, 1, 4).choose(LOGITS, 5)).isEqualTo(1);
    }

    @Test
    void theSameSeedAndPositionChooseTheSame() {
        Sampling sampling = new Sampling(1, 0, 1, 77);
        int[] first = java.util.stream.IntStream.range(0, 200)
                .map(i -> sampling.choose(LOGITS, i))
                .toArray();
        int[] backwards = java.util.stream.IntStream.range(0, 200)
                .map(i -> new Sampling(1, 0, 1, 77).choose(LOGITS, 199 - i))
                .toArray();
        for (int i = 0; i < 200; i++) {
            assertThat(backwards[199 - i]).isEqualTo(first[i]);
        }
        Sampling other = new Sampling(1, 0, 1, 78);
        assertThat(java.util.stream.IntStream.range(0, 200).map(i -> other.choose(LOGITS, i)))
                .isNotEqualTo(first);
    }

    @ParameterizedTest
    @CsvSource({
        "-1, 0, 1, --temperature",
        "NaN, 0, 1, --temperature",
        "Infinity, 0, 1, --temperature",
        "1, -1, 1, --top-k",
        "1, 0, 0, --top-p",
        "1, 0, 1.1, --top-p",
        "1, 0, NaN, --top-p"
    })
    void valuesOutOfRangeAreRefused(double temperature, int topK, double topP, String flag) {
        assertThatThrownBy(() -> new Sampling(temperature, topK, topP, 0))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith(flag);
    }
}
