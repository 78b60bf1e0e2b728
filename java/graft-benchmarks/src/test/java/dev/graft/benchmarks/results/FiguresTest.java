package dev.graft.benchmarks.results;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class FiguresTest {
    @Test
    void threeDigits() {
        assertThat(Figures.number(0)).isEqualTo("0.00");
        assertThat(Figures.number(0.012345)).isEqualTo("0.0123");
        assertThat(Figures.number(2)).isEqualTo("2.00");
        assertThat(Figures.number(9.996)).isEqualTo("10.0");
        assertThat(Figures.number(999.6)).isEqualTo("1000");
        assertThat(Figures.number(123_456)).isEqualTo("123000");
        assertThat(Figures.number(Double.NaN)).isEqualTo("?");
    }

    @Test
    void timesInTheUnitThatSuits() {
        assertThat(Figures.time(12.34)).isEqualTo("12.3 µs");
        assertThat(Figures.time(1234)).isEqualTo("1.23 ms");
        assertThat(Figures.time(5e6)).isEqualTo("5.00 s");
    }

    @Test
    void bytesBindWhereFewOperationsAreDoneOnThem() {
        assertThat(Figures.rate(1000, 2e8, 1e6)).isEqualTo("200 GFLOP/s");
        assertThat(Figures.rate(1000, 4e6, 2e6)).isEqualTo("2.00 GB/s");
        assertThat(Figures.rate(1000, 0, 0)).isEmpty();
    }
}
