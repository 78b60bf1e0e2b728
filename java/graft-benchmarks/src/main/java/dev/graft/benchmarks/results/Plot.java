package dev.graft.benchmarks.results;

import java.util.List;

/**
 * A chart.
 *
 * @param name of its file, without suffix
 * @param categories along the x axis, evenly spaced
 * @param axes one y axis, or one left and one right
 */
record Plot(String name, String title, String xTitle, List<String> categories, Style style, List<Axis> axes) {
    /** How values are drawn. */
    enum Style {
        LINES,
        BARS
    }

    /** A y axis from zero and what it measures. */
    record Axis(String title, List<Series> series) {}

    /**
     * Values by category.
     *
     * @param values one for each category, NaN where there is none
     */
    record Series(String name, List<Double> values) {}

    Plot {
        categories = List.copyOf(categories);
        axes = List.copyOf(axes);
        for (Axis axis : axes) {
            for (Series series : axis.series()) {
                if (series.values().size() != categories.size()) {
                    throw new IllegalArgumentException(series.values().size() + " values of " + series.name() + " for "
                            + categories.size() + " categories");
                }
            }
        }
    }
}
