package dev.graft.cli.compare;

import dev.graft.meta.StartComparison;
import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The plots of a comparison, as PNGs. */
final class ComparePlots {
    private static final int WIDTH = 860;
    private static final int HEIGHT = 440;
    /** Okabe and Ito's palette, which people who see few colours can tell apart. */
    private static final List<Color> COLOURS = List.of(
            new Color(0x0072B2),
            new Color(0xD55E00),
            new Color(0x009E73),
            new Color(0xCC79A7),
            new Color(0xE69F00),
            new Color(0x56B4E9),
            new Color(0x000000));

    private final CompareResult result;
    private final Map<String, Color> colours = new LinkedHashMap<>();

    ComparePlots(CompareResult result) {
        this.result = result;
        for (CompareRow row : result.rows()) {
            colours.putIfAbsent(row.method(), COLOURS.get(colours.size() % COLOURS.size()));
        }
    }

    /** All plots for which there are figures, by the names of their files. */
    Map<String, byte[]> all() {
        Map<String, byte[]> plots = new LinkedHashMap<>();
        plots.put("quality-by-share.png", png(qualityByShare()));
        if (result.rows().stream().mapToInt(CompareRow::shots).distinct().count() > 2) {
            plots.put("quality-by-shots.png", png(qualityByShots()));
        }
        if (Double.isFinite(result.basePerplexity())) {
            plots.put("forgetting.png", png(forgetting()));
        }
        plots.put("token-time.png", png(tokenTime()));
        if (result.start() != null) {
            plots.put("adaptation.png", png(adaptation(result.start().comparison())));
        }
        return plots;
    }

    private double quality(CompareRow row) {
        return result.hasScores() ? row.score().mean() : row.loss().mean();
    }

    private String qualityTitle() {
        return result.hasScores() ? "held-out questions answered exactly, %" : "held-out loss";
    }

    private XYChart qualityByShare() {
        XYChart chart = xy("numbers trained, share of the model in %", qualityTitle());
        chart.getStyler().setXAxisLogarithmic(true);
        byMethod(result.atMostShots())
                .forEach((method, rows) -> series(
                        chart,
                        method,
                        rows.stream().map(row -> 100 * row.trainableShare()).toList(),
                        rows,
                        colours.get(method)));
        return chart;
    }

    private XYChart qualityByShots() {
        XYChart chart = xy("examples to learn from", qualityTitle());
        Map<String, List<CompareRow>> byLabel = new LinkedHashMap<>();
        result.rows().stream()
                .filter(row -> row.shots() > 0)
                .forEach(row -> byLabel.computeIfAbsent(row.label(), label -> new ArrayList<>())
                        .add(row));
        int next = 0; // ranks of one method are to be told apart here
        for (var entry : byLabel.entrySet()) {
            List<CompareRow> rows = entry.getValue();
            series(
                    chart,
                    entry.getKey(),
                    rows.stream().map(row -> (double) row.shots()).toList(),
                    rows,
                    COLOURS.get(next++ % COLOURS.size()));
        }
        return chart;
    }

    private void series(XYChart chart, String name, List<Double> x, List<CompareRow> rows, Color colour) {
        double[] errors = rows.stream()
                .mapToDouble(row -> zeroIfUnknown((result.hasScores() ? row.score() : row.loss()).std()))
                .toArray();
        double[] xs = x.stream().mapToDouble(Double::doubleValue).toArray();
        double[] ys = rows.stream().mapToDouble(this::quality).toArray();
        chart.addSeries(name, xs, ys, errors)
                .setMarker(SeriesMarkers.CIRCLE)
                .setMarkerColor(colour)
                .setLineColor(colour)
                .setLineStyle(new BasicStroke(1.5f));
    }

    private static double zeroIfUnknown(double std) {
        return Double.isNaN(std) ? 0 : std;
    }

    private static Map<String, List<CompareRow>> byMethod(List<CompareRow> rows) {
        Map<String, List<CompareRow>> byMethod = new LinkedHashMap<>();
        rows.forEach(row -> byMethod.computeIfAbsent(row.method(), method -> new ArrayList<>())
                .add(row));
        return byMethod;
    }

    private CategoryChart forgetting() {
        CategoryChart chart = bars("perplexity on the base's own text, times the base's");
        chart.addSeries(
                "after training",
                result.atMostShots().stream().map(CompareRow::label).toList(),
                result.atMostShots().stream()
                        .map(row -> row.forgetting().mean())
                        .toList());
        chart.getStyler().setLegendVisible(false);
        return chart;
    }

    private CategoryChart tokenTime() {
        CategoryChart chart = bars("time of a generated token, times the base's");
        List<CompareRow> rows = result.atMostShots();
        List<String> labels = rows.stream().map(CompareRow::label).toList();
        chart.addSeries(
                "as trained",
                labels,
                rows.stream().map(row -> row.tokenMs().separateRatio()).toList());
        chart.addSeries(
                "merged",
                labels,
                rows.stream().map(row -> row.tokenMs().mergedRatio()).collect(Collectors.toList())); // null: no bar
        return chart;
    }

    private static XYChart adaptation(StartComparison comparison) {
        XYChart chart = xy("steps on a new task", "loss on its held-out rows");
        curve(chart, "learned start", comparison.learned().losses(), COLOURS.get(2));
        curve(chart, "plain start", comparison.plain().losses(), COLOURS.getFirst());
        return chart;
    }

    private static void curve(XYChart chart, String name, List<Double> losses, Color colour) {
        double[] steps = IntStream.range(0, losses.size()).asDoubleStream().toArray();
        chart.addSeries(
                        name,
                        steps,
                        losses.stream()
                                .mapToDouble(loss -> Double.isFinite(loss) ? loss : Double.NaN)
                                .toArray())
                .setMarker(SeriesMarkers.NONE)
                .setLineColor(colour);
    }

    private static XYChart xy(String xTitle, String yTitle) {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .xAxisTitle(xTitle)
                .yAxisTitle(yTitle)
                .theme(Styler.ChartTheme.Matlab)
                .build();
        style(chart.getStyler());
        return chart;
    }

    private static CategoryChart bars(String yTitle) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .yAxisTitle(yTitle)
                .theme(Styler.ChartTheme.Matlab)
                .build();
        style(chart.getStyler());
        chart.getStyler().setSeriesColors(new Color[] {COLOURS.getFirst(), COLOURS.get(2)});
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setAvailableSpaceFill(0.7);
        return chart;
    }

    private static void style(AxesChartStyler styler) {
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotGridLinesColor(new Color(0xDDDDDD));
        styler.setLegendPosition(Styler.LegendPosition.OutsideE);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setMarkerSize(8);
    }

    private static byte[] png(Chart<?, ?> chart) {
        try {
            return BitmapEncoder.getBitmapBytes(chart, BitmapEncoder.BitmapFormat.PNG);
        } catch (IOException e) {
            throw new UncheckedIOException("a plot cannot be drawn", e);
        }
    }
}
