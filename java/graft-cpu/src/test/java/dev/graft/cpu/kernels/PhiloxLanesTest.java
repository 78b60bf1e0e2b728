package dev.graft.cpu.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.common.Philox;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Dropout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PhiloxLanesTest {
    /** The last starts where the counter passes the largest int. */
    @ParameterizedTest
    @CsvSource({"42, 0, 0, 0, 1", "-7, 3, 9, 5, 13", "1234567890123456789, -1, -2, 1000, 64", "0, 1, 1, 2147483640, 20"
    })
    void areThePhiloxWords(long seed, int step, int stream, long first, int counters) {
        int[] words = new int[PhiloxLanes.words(counters)];
        PhiloxLanes.fill(new Dropout(0.5f, seed, step, stream), first, counters, words);

        Philox philox = new Philox(seed);
        int[] expected = new int[4];
        for (int i = 0; i < counters; i++) {
            philox.words((int) (first + i), step, stream, RandomPurpose.DROPOUT.word(), expected);
            for (int j = 0; j < 4; j++) {
                assertThat(words[4 * i + j])
                        .as("word %d of counter %d", j, first + i)
                        .isEqualTo(expected[j]);
            }
        }
    }
}
