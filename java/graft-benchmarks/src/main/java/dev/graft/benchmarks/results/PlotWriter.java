package dev.graft.benchmarks.results;

import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.style.CategoryStyler;
import org.knowm.xchart.style.Styler;

/** Draws {@link Plot}s as PNG, without a screen. */
final class PlotWriter {
    private static final Color[] COLOURS = {
        new Color(0x2a6f4e), new Color(0xb5651d), new Color(0x35609a), new Color(0x8a8a8a)
    };
    /** Above the largest value, for the legend. */
    private static final double HEADROOM = 1.15;

    private PlotWriter() {}

    /** Writes {@code plot} into {@code folder} and returns the file. */
    static Path write(Path folder, Plot plot) {
        Path file = folder.resolve(plot.name() + ".png");
        AtomicFiles.createDirectories(folder);
        try {
            AtomicFiles.writeBytes(file, BitmapEncoder.getBitmapBytes(chart(plot), BitmapEncoder.BitmapFormat.PNG));
            return file;
        } catch (IOException e) {
            throw new InputException("cannot draw " + file + ": " + e.getMessage(), e);
        }
    }

    private static CategoryChart chart(Plot plot) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(900)
                .height(500)
                .title(plot.title())
                .xAxisTitle(plot.xTitle())
                .theme(Styler.ChartTheme.Matlab)
                .build();
        chart.getStyler()
                .setDefaultSeriesRenderStyle(
                        plot.style() == Plot.Style.LINES
                                ? CategorySeries.CategorySeriesRenderStyle.Line
                                : CategorySeries.CategorySeriesRenderStyle.Bar)
                .setOverlapped(plot.style() == Plot.Style.LINES)
                .setSeriesColors(COLOURS)
                .setLegendPosition(Styler.LegendPosition.OutsideS)
                .setLegendLayout(Styler.LegendLayout.Horizontal)
                .setChartBackgroundColor(Color.WHITE);
        for (int group = 0; group < plot.axes().size(); group++) {
            Plot.Axis axis = plot.axes().get(group);
            chart.setYAxisGroupTitle(group, axis.title());
            CategoryStyler styler = chart.getStyler();
            styler.setYAxisGroupPosition(group, group == 0 ? Styler.YAxisPosition.Left : Styler.YAxisPosition.Right);
            styler.setYAxisMin(group, 0.0);
            styler.setYAxisMax(group, HEADROOM * largest(axis));
            for (Plot.Series series : axis.series()) {
                List<Double> values = series.values().stream()
                        .map(value -> Double.isNaN(value) ? null : value)
                        .toList();
                chart.addSeries(series.name(), plot.categories(), values).setYAxisGroup(group);
            }
        }
        return chart;
    }

    private static double largest(Plot.Axis axis) {
        return axis.series().stream()
                .flatMap(series -> series.values().stream())
                .filter(value -> !Double.isNaN(value))
                .mapToDouble(Double::doubleValue)
                .max()
                .orElse(1);
    }
}
