package dev.graft.cli.quickstart;

import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The training loss by step, as a PNG. */
final class LossPlot {
    private LossPlot() {}

    static void write(Path file, String title, List<Double> losses) {
        XYChart chart = new XYChartBuilder()
                .width(900)
                .height(500)
                .title(title)
                .xAxisTitle("step")
                .yAxisTitle("loss (mean over target tokens)")
                .theme(Styler.ChartTheme.Matlab)
                .build();
        chart.getStyler().setLegendVisible(false).setChartBackgroundColor(Color.WHITE);
        chart.getStyler().setYAxisLogarithmic(true);
        double[] steps = IntStream.rangeClosed(1, losses.size()).asDoubleStream().toArray();
        double[] values = losses.stream().mapToDouble(Double::doubleValue).toArray();
        chart.addSeries("loss", steps, values).setMarker(SeriesMarkers.NONE).setLineColor(new Color(0x2a6f4e));
        try {
            byte[] png = BitmapEncoder.getBitmapBytes(chart, BitmapEncoder.BitmapFormat.PNG);
            AtomicFiles.writeBytes(file, png);
        } catch (IOException e) {
            throw new InputException("cannot draw " + file + ": " + e.getMessage(), e);
        }
    }
}
