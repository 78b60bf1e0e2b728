package dev.graft.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rows back to back, labels one to the left. */
class TokenBatchTest {
    @Test
    void labelsAreShiftedWithinTheirSequence() {
        TokenBatch batch = TokenBatch.pack(
                List.of(new int[] {5, 6, 7}, new int[] {8}, new int[] {9, 10, 11, 12}),
                List.of(new int[] {5, -100, 7}, new int[] {8}, new int[] {9, 10, -100, 12}));
        assertThat(batch.targetRows()).as("rows before the labels that count").containsExactly(1, 4, 6);
        assertThat(batch.targets()).containsExactly(7, 10, 12);
        assertThat(batch.longest()).isEqualTo(4);
        assertThat(batch.rows()).isEqualTo(32);
        assertThat(IntStream.of(batch.tokens()).limit(9)).containsExactly(5, 6, 7, 8, 9, 10, 11, 12, 0);
        assertThat(IntStream.of(batch.positions()).limit(11)).containsExactly(0, 1, 2, 0, 0, 1, 2, 3, 0, 1, 2);
        assertThat(batch.sequences().queryStart()).containsExactly(0, 3, 4, 8);
        assertThat(batch.sequences().queryLength()).containsExactly(3, 1, 4, 24);
        assertThat(batch.sequences().keyLength()).containsExactly(3, 1, 4, 24);
    }

    @Test
    void aBatchThatFillsItsRowsHasNoPadding() {
        int[] row = IntStream.range(0, 32).toArray();
        TokenBatch batch = TokenBatch.pack(List.of(row, row), List.of(row, row));
        assertThat(batch.rows()).isEqualTo(64);
        assertThat(batch.sequences().count()).isEqualTo(2);
        assertThat(batch.targets()).hasSize(62);
        assertThat(batch.targetRows()).doesNotContain(31, 63);
    }

    @Test
    void nothingToPredictIsAnEmptyTargetList() {
        TokenBatch batch = TokenBatch.pack(List.of(new int[] {1, 2}), List.of(new int[] {1, -100}));
        assertThat(batch.targets()).isEmpty();
        assertThat(TokenBatch.countTargets(List.of(new int[] {1, -100}, new int[] {4}, new int[] {-100, 3})))
                .isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "1, 32", "32, 32", "33, 64"})
    void rowsAreRoundedUp(int tokens, int rows) {
        assertThat(TokenBatch.paddedRows(tokens)).isEqualTo(rows);
    }

    @Test
    void aContinuationSeesWhatWentBefore() {
        TokenBatch batch = TokenBatch.continuation(new int[] {4, 5}, 7, 20);
        assertThat(batch.positions()).containsExactly(7, 8);
        assertThat(batch.sequences().queryLength()).containsExactly(2);
        assertThat(batch.sequences().keyLength()).containsExactly(9);
        assertThat(batch.longest()).isEqualTo(20);
    }
}
