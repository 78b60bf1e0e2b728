package dev.graft.cli.run;

import java.util.Arrays;

/** The middle of measurements, which single outliers do not move. */
public final class Median {
    private Median() {}

    /** The middle value, or the mean of the two in the middle; {@code values}, at least one, stay as they are. */
    public static double of(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
