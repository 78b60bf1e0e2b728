package dev.graft.cli.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class TokenTimesTest {
    private static TokenTimes after(long... millis) {
        var clock = LongStream.concat(LongStream.of(0), LongStream.of(millis))
                .map(at -> 5_000_000_000L + 1_000_000 * at)
                .iterator();
        TokenTimes times = TokenTimes.start(clock::nextLong);
        for (int i = 0; i < millis.length; i++) {
            times.token();
        }
        return times;
    }

    @Test
    void firstTokenStandsApartFromTheMedianOfTheLaterHalf() {
        TokenTimes times = after(100, 190, 200, 212);
        assertThat(times.firstTokenMillis()).hasValueCloseTo(100.0, within(1e-9));
        assertThat(times.tokenMillis()).hasValueCloseTo(11.0, within(1e-9));
        assertThat(times.tokensPerSecond()).isCloseTo(4 / 0.212, within(1e-9));
        assertThat(after(100, 130, 140, 150, 160, 172, 182).tokenMillis()).hasValueCloseTo(10.0, within(1e-9));
        assertThat(after(100, 110).tokenMillis()).hasValueCloseTo(10.0, within(1e-9));
    }

    @Test
    void fewTokensHaveNoMedian() {
        assertThat(after(7).tokenMillis()).isEmpty();
        assertThat(after(7).firstTokenMillis()).hasValueCloseTo(7.0, within(1e-9));
        assertThat(after().firstTokenMillis()).isEmpty();
        assertThat(after().tokensPerSecond()).isZero();
        assertThat(TokenTimes.orNull(after().tokenMillis())).isNull();
    }

    @Test
    void moreTokensThanItBeganWithRoomFor() {
        TokenTimes times = after(LongStream.rangeClosed(1, 1000).map(i -> 3 * i).toArray());
        assertThat(times.tokenMillis()).hasValueCloseTo(3.0, within(1e-9));
        assertThat(times.tokensPerSecond()).isCloseTo(1000 / 3.0, within(1e-6));
    }
}
