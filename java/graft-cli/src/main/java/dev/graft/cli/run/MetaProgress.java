package dev.graft.cli.run;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import dev.graft.io.JsonLinesWriter;
import dev.graft.meta.MetaMetrics;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Shows meta-training on standard error and writes {@code metrics.jsonl}, a line a meta-step. Remembers what the summary needs.
 */
public final class MetaProgress implements Consumer<MetaMetrics>, AutoCloseable {
    /** Lines of a whole run where there is no terminal. */
    private static final int PLAIN_LINES = 20;

    private final Console console;
    private final JsonLinesWriter file;
    private @Nullable MetaMetrics first;
    private @Nullable MetaMetrics last;
    private double innerSeconds;

    /** @param out the folder of the metrics */
    public MetaProgress(Console console, Path out) {
        this.console = console;
        this.file = new JsonLinesWriter(out.resolve("metrics.jsonl"), "");
    }

    @Override
    public void accept(MetaMetrics metrics) {
        if (first == null) {
            first = metrics;
        }
        last = metrics;
        innerSeconds += metrics.innerStepSeconds();
        file.write(Json.mapper()
                .createObjectNode()
                .put("step", metrics.step())
                .put("support_loss", metrics.supportLoss())
                .put("query_loss", metrics.queryLoss())
                .put("lr", metrics.learningRate())
                .put("grad_norm", metrics.gradNorm())
                .put("inner_step_ms", 1e3 * metrics.innerStepSeconds())
                .put("elapsed_s", metrics.elapsedSeconds()));
        if (console.isTerminal()) {
            console.live(line(metrics));
        } else if (isDue(metrics)) {
            console.note(line(metrics));
        }
    }

    private boolean isDue(MetaMetrics metrics) {
        int interval = Math.ceilDiv(metrics.totalSteps(), PLAIN_LINES);
        return metrics.step() == 1 || metrics.step() % interval == 0 || metrics.step() == metrics.totalSteps();
    }

    private static String line(MetaMetrics metrics) {
        double left = metrics.elapsedSeconds() / metrics.step() * (metrics.totalSteps() - metrics.step());
        return "meta-step " + metrics.step() + "/" + metrics.totalSteps() + "  loss "
                + Units.fixed(metrics.supportLoss(), 4) + ", adapted " + Units.fixed(metrics.queryLoss(), 4) + "  left "
                + Units.duration(left);
    }

    /** The first meta-step; null where none was done. */
    public @Nullable MetaMetrics first() {
        return first;
    }

    /** The last meta-step; null where none was done. */
    public @Nullable MetaMetrics last() {
        return last;
    }

    /** Mean time of an inner step in milliseconds; 0 where there was none. */
    public double innerStepMillis() {
        return last == null ? 0 : 1e3 * innerSeconds / last.step();
    }

    @Override
    public void close() {
        file.close();
    }
}
