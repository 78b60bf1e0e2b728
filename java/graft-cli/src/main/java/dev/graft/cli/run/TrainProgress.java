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
        stepSeconds += metrics.tokens() / metrics.tokensPerSecond();
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
        return "step " + metrics.step() + "/" + metrics.totalSteps() + "  " + numbers(metrics) + "  left "
                + Units.duration(secondsLeft(metrics));
    }

    private String bar(StepMetrics metrics) {
        int filled = (int) ((long) BAR_WIDTH * metrics.step() / metrics.totalSteps());
        return "[" + "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled) + "] " + metrics.step() + "/"
                + metrics.totalSteps() + "  " + numbers(metrics) + "  left " + Units.duration(secondsLeft(metrics));
    }

    private static String numbers(StepMetrics metrics) {
        return "loss " + Units.fixed(metrics.loss(), 4) + "  " + Units.count(Math.round(metrics.tokensPerSecond()))
                + " tokens/s";
    }

    private double secondsLeft(StepMetrics metrics) {
        int done = metrics.step() - (first == null ? metrics : first).step() + 1;
        return stepSeconds / done * (metrics.totalSteps() - metrics.step());
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
