package dev.graft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Factors as transformers 5.18's {@code get_*_schedule_with_warmup} gave them, step by step. */
class LearningRateScheduleTest {
    private static final double THIRD = 1.0 / 3;

    static Stream<Arguments> references() {
        return Stream.of(
                Arguments.of(LearningRateSchedule.CONSTANT, 0, new double[] {1, 1, 1, 1, 1}),
                Arguments.of(LearningRateSchedule.LINEAR, 0, new double[] {1, 0.8, 0.6, 0.4, 0.2}),
                Arguments.of(LearningRateSchedule.COSINE, 0, new double[] {
                    1, 0.9045084971874737, 0.6545084971874737, 0.34549150281252633, 0.09549150281252633
                }),
                Arguments.of(LearningRateSchedule.CONSTANT, 3, new double[] {0, THIRD, 2 * THIRD, 1, 1, 1, 1, 1, 1, 1}),
                Arguments.of(LearningRateSchedule.LINEAR, 3, new double[] {
                    0,
                    THIRD,
                    2 * THIRD,
                    1,
                    0.8571428571428571,
                    0.7142857142857143,
                    0.5714285714285714,
                    0.42857142857142855,
                    0.2857142857142857,
                    0.14285714285714285
                }),
                Arguments.of(LearningRateSchedule.COSINE, 3, new double[] {
                    0,
                    THIRD,
                    2 * THIRD,
                    1,
                    0.9504844339512095,
                    0.8117449009293668,
                    0.6112604669781572,
                    0.38873953302184283,
                    0.18825509907063326,
                    0.04951556604879048
                }),
                Arguments.of(LearningRateSchedule.COSINE, 4, new double[] {0, 0.25, 0.5, 0.75}));
    }

    @ParameterizedTest
    @MethodSource("references")
    void factorsEqualThoseOfTransformers(LearningRateSchedule schedule, int warmup, double[] expected) {
        double[] factors = IntStream.range(0, expected.length)
                .mapToDouble(step -> schedule.factor(step, warmup, expected.length))
                .toArray();
        assertThat(factors).containsExactly(expected, within(1e-15));
    }

    @ParameterizedTest
    @EnumSource
    void namesAreReadAsTyped(LearningRateSchedule schedule) {
        assertThat(LearningRateSchedule.parse(schedule.name().toLowerCase(java.util.Locale.ROOT)))
                .isEqualTo(schedule);
    }

    @Test
    void otherNamesAreRefused() {
        assertThatThrownBy(() -> LearningRateSchedule.parse("step"))
                .isInstanceOf(InputException.class)
                .hasMessage("--schedule step: use cosine, linear or constant");
    }
}
