package dev.graft.cli.run;

import java.util.Arrays;
import java.util.OptionalDouble;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** When each token of a generated text came. */
public final class TokenTimes {
    private static final int INITIAL_CAPACITY = 128;

    private final LongSupplier nanoTime;
    private final long start;
    private long[] times = new long[INITIAL_CAPACITY];
    private int count;

    private TokenTimes(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
        this.start = nanoTime.getAsLong();
    }

    /** The clock runs: the prompt is to be computed next. */
    public static TokenTimes start() {
        return start(System::nanoTime);
    }

    static TokenTimes start(LongSupplier nanoTime) {
        return new TokenTimes(nanoTime);
    }

    /** A token was chosen. */
    public void token() {
        if (count == times.length) {
            times = Arrays.copyOf(times, 2 * count);
        }
        times[count++] = nanoTime.getAsLong();
    }

    /** Of all tokens, the prompt's time counted; 0 without a token. */
    public double tokensPerSecond() {
        return count == 0 ? 0 : count / (1e-9 * (times[count - 1] - start));
    }

    /** The time that the prompt took, and the choice of the first token; empty without a token. */
    public OptionalDouble firstTokenMillis() {
        return count == 0 ? OptionalDouble.empty() : OptionalDouble.of(1e-6 * (times[0] - start));
    }

    /** The median time of a token of the later half: what one costs once all is warm. Empty where the first is the only one. */
    public OptionalDouble tokenMillis() {
        if (count < 2) {
            return OptionalDouble.empty();
        }
        long[] sorted = IntStream.range(Math.max(1, count / 2), count)
                .mapToLong(i -> times[i] - times[i - 1])
                .sorted()
                .toArray();
        int middle = sorted.length / 2;
        return OptionalDouble.of(
                1e-6 * (sorted.length % 2 == 1 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle])));
    }

    /** For JSON, which has no word for "empty" but null. */
    public static @Nullable Double orNull(OptionalDouble value) {
        return value.isPresent() ? (Double) value.getAsDouble() : null;
    }
}
