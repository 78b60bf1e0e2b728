package dev.graft.cli.run;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.train.EvalMetrics;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainListener;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Shows a run on standard error: a bar on a terminal, otherwise a line now and then. Remembers what the summary needs. */
public class TrainProgress implements TrainListener {
    /** Lines of a whole run where there is no terminal. */
    private static final int PLAIN_LINES = 20;

    private static final int BAR_WIDTH = 24;

    private final Console console;
    private @Nullable StepMetrics first;
    private @Nullable StepMetrics last;
    private @Nullable EvalMetrics lastEvaluation;
    private long tokens;
    private double stepSeconds;

    public TrainProgress(Console console) {
        this.console = console;
    }

    @Override
    public void onStep(StepMetrics metrics) {
        if (first == null) {
            first = metrics;
        }
        last = metrics;
        tokens += metrics.tokens();
        stepSeconds += seconds(metrics);
        if (console.isTerminal()) {
            console.live(bar(metrics));
        } else if (isDue(metrics)) {
            console.note(plain(metrics));
        }
    }

    private boolean isDue(StepMetrics metrics) {
        int interval = Math.ceilDiv(metrics.totalSteps(), PLAIN_LINES);
        return metrics == first || metrics.step() % interval == 0 || metrics.step() == metrics.totalSteps();
    }

    private String plain(StepMetrics metrics) {
        return "step " + metrics.step() + "/" + metrics.totalSteps() + "  " + numbers(metrics) + timeLeft(metrics);
    }

    private String bar(StepMetrics metrics) {
        int filled = (int) ((long) BAR_WIDTH * metrics.step() / metrics.totalSteps());
        return "[" + "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled) + "] " + metrics.step() + "/"
                + metrics.totalSteps() + "  " + numbers(metrics) + timeLeft(metrics);
    }

    private static String numbers(StepMetrics metrics) {
        return "loss " + Units.fixed(metrics.loss(), 4) + "  " + Units.count(Math.round(metrics.tokensPerSecond()))
                + " tokens/s";
    }

    /** By the steps after the first, which is slow: code and memory are not warm yet. */
    private String timeLeft(StepMetrics metrics) {
        if (first == null || metrics == first) {
            return "";
        }
        double perStep = (stepSeconds - seconds(first)) / (metrics.step() - first.step());
        return "  left " + Units.duration(perStep * (metrics.totalSteps() - metrics.step()));
    }

    private static double seconds(StepMetrics metrics) {
        return metrics.tokens() / metrics.tokensPerSecond();
    }

    @Override
    public void onEvaluation(int step, EvalMetrics metrics) {
        lastEvaluation = metrics;
        console.note("step " + step + "  evaluation loss " + Units.fixed(metrics.loss(), 4) + "  perplexity "
                + Units.fixed(metrics.perplexity(), 3));
    }

    @Override
    public void onCheckpoint(int step, Path folder) {
        console.note("step " + step + "  checkpoint " + folder);
    }

    /** The first step of this process; null where none was done. */
    public @Nullable StepMetrics first() {
        return first;
    }

    /** The last step; null where none was done. */
    public @Nullable StepMetrics last() {
        return last;
    }

    /** The newest evaluation; null where there was none. */
    public @Nullable EvalMetrics lastEvaluation() {
        return lastEvaluation;
    }

    /** Tokens of all steps by their time, evaluations and checkpoints not counted; 0 where there was no step. */
    public double tokensPerSecond() {
        return stepSeconds == 0 ? 0 : tokens / stepSeconds;
    }
}
