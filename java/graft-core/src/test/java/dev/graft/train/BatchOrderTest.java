package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which rows a step sees. */
class BatchOrderTest {
    private static TrainConfig.Builder config(int batchSize, int gradAccum) {
        return TrainConfig.builder()
                .batchSize(batchSize)
                .gradAccum(gradAccum)
                .epochs(3)
                .seed(5);
    }

    private static List<Integer> rows(BatchOrder order, int from, int to) {
        List<Integer> rows = new ArrayList<>();
        for (int step = from; step < to; step++) {
            order.microBatches(step).forEach(batch -> Arrays.stream(batch).forEach(rows::add));
        }
        return rows;
    }

    @ParameterizedTest
    @CsvSource({"10, 3, 1, 4", "10, 3, 2, 2", "10, 2, 5, 1", "10, 4, 3, 1", "1, 4, 1, 1", "12, 3, 2, 2", "7, 1, 1, 7"})
    void eachEpochHoldsEveryRowOnceAndNoStepSpansTwo(int rowCount, int batchSize, int gradAccum, int stepsPerEpoch) {
        BatchOrder order = new BatchOrder(rowCount, config(batchSize, gradAccum).build());
        assertThat(order.stepsPerEpoch()).isEqualTo(stepsPerEpoch);
        assertThat(order.totalSteps()).isEqualTo(3 * stepsPerEpoch);
        for (int epoch = 0; epoch < 3; epoch++) {
            assertThat(rows(order, epoch * stepsPerEpoch, (epoch + 1) * stepsPerEpoch))
                    .containsExactlyInAnyOrderElementsOf(
                            IntStream.range(0, rowCount).boxed().toList());
        }
        for (int step = 0; step < 3 * stepsPerEpoch; step++) {
            assertThat(order.microBatches(step))
                    .hasSizeBetween(1, gradAccum)
                    .allMatch(batch -> batch.length <= batchSize);
        }
    }

    @Test
    void aStepsRowsAreAFunctionOfTheStep() {
        BatchOrder forwards = new BatchOrder(11, config(2, 2).build());
        BatchOrder backwards = new BatchOrder(11, config(2, 2).build());
        List<List<int[]>> steps =
                IntStream.range(0, 9).mapToObj(forwards::microBatches).toList();
        for (int step = 8; step >= 0; step--) {
            assertThat(Arrays.deepEquals(
                            backwards.microBatches(step).toArray(),
                            steps.get(step).toArray()))
                    .isTrue();
        }
    }

    @Test
    void epochsAndSeedsHaveTheirOwnOrder() {
        BatchOrder order = new BatchOrder(20, config(20, 1).build());
        List<Integer> first = rows(order, 0, 1);
        assertThat(rows(order, 1, 2)).isNotEqualTo(first);
        assertThat(rows(new BatchOrder(20, config(20, 1).seed(6).build()), 0, 1))
                .isNotEqualTo(first);
    }

    @Test
    void withoutShufflingBatchesAreConsecutiveRows() {
        BatchOrder order = new BatchOrder(5, config(2, 1).shuffle(false).build());
        assertThat(rows(order, 0, 6)).containsExactly(0, 1, 2, 3, 4, 0, 1, 2, 3, 4);
        assertThat(order.microBatches(2)).containsExactly(new int[] {4});
    }

    @Test
    void stepsGoBeforeEpochs() {
        assertThat(new BatchOrder(5, config(2, 1).steps(100).build()).totalSteps())
                .isEqualTo(100);
    }
}
