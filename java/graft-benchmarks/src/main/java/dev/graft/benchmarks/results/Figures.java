package dev.graft.benchmarks.results;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;

/** Numbers for tables: three significant digits, no more. */
final class Figures {
    private static final int DIGITS = 3;
    /** Operations for each byte above which no machine waits for its memory. */
    private static final double OPERATIONS_BIND = 16;

    private Figures() {}

    /** {@code 0.0123}, {@code 1.23}, {@code 12.3}, {@code 123}, {@code 1230}. */
    static String number(double value) {
        if (!Double.isFinite(value)) {
            return "?";
        }
        BigDecimal rounded = new BigDecimal(value).round(new MathContext(DIGITS));
        int beforeThePoint = rounded.precision() - rounded.scale();
        return rounded.setScale(Math.max(0, DIGITS - beforeThePoint), RoundingMode.UNNECESSARY)
                .toPlainString();
    }

    /** {@code 1.21}. */
    static String ratio(double value) {
        return String.format(Locale.ROOT, "%.2f", value);
    }

    /** {@code 0.998}: overheads of a few per cent need a digit more. */
    static String overhead(double value) {
        return String.format(Locale.ROOT, "%.3f", value);
    }

    /** {@code 1.54 GiB}. */
    static String gib(double bytes) {
        return String.format(Locale.ROOT, "%.2f GiB", bytes / 0x1p30);
    }

    /** Microseconds in the unit that suits them: {@code 12.3 µs}, {@code 1.23 ms}, {@code 1.23 s}. */
    static String time(double micros) {
        if (micros < 1e3) {
            return number(micros) + " µs";
        }
        return micros < 1e6 ? number(micros / 1e3) + " ms" : number(micros / 1e6) + " s";
    }

    /** {@code 210 GFLOP/s} for what operations bind, {@code 12.3 GB/s} for what bytes bind; empty where neither was counted. */
    static String rate(double micros, double flops, double bytes) {
        if (flops > OPERATIONS_BIND * bytes) {
            return number(flops / micros / 1e3) + " GFLOP/s";
        }
        return bytes > 0 ? number(bytes / micros / 1e3) + " GB/s" : "";
    }
}
