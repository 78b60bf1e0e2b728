package dev.graft.cli.compare;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A comparison: every figure was measured in the run that made it.
 *
 * @param task what was learnt
 * @param command as typed
 * @param hardware engine and processor
 * @param date ISO
 * @param seconds that it took
 * @param seeds runs of each row
 * @param steps of each run
 * @param basePerplexity of the base on its own kind of text; NaN where there was none
 * @param rows the base first
 * @param claims what people say of LoRA, and what came out
 * @param start a start that was learned from other tasks; null where none was
 */
public record CompareResult(
        String task,
        String command,
        String hardware,
        String date,
        double seconds,
        int seeds,
        int steps,
        double basePerplexity,
        List<CompareRow> rows,
        List<Claim> claims,
        @Nullable LearnedStart start) {

    boolean hasScores() {
        return rows.stream().anyMatch(row -> Double.isFinite(row.score().mean()));
    }

    /** The rows of the largest number of shots, in their order. */
    List<CompareRow> atMostShots() {
        int most = rows.stream().mapToInt(CompareRow::shots).max().orElse(0);
        return rows.stream().filter(row -> row.shots() == most).toList();
    }

    public ObjectNode json() {
        ObjectNode json = Json.mapper().createObjectNode();
        json.put("task", task);
        json.put("command", command);
        json.put("hardware", hardware);
        json.put("date", date);
        json.put("seconds", seconds);
        json.put("seeds", seeds);
        json.put("steps", steps);
        json.put("base_perplexity", Json.finite(basePerplexity));
        ArrayNode all = json.putArray("rows");
        rows.forEach(row -> all.add(row.json()));
        ArrayNode said = json.putArray("claims");
        claims.forEach(claim -> said.add(claim.json()));
        json.set("learned_start", start == null ? null : start.json());
        return json;
    }

    String csv() {
        List<String> lines = new ArrayList<>();
        lines.add(String.join(",", CompareRow.COLUMNS));
        rows.forEach(row -> lines.add(row.csv()));
        return String.join("\n", lines) + "\n";
    }

    /** Table and claims for a terminal. */
    public List<String> lines() {
        Table table = Table.ofNumbers()
                .row(
                        "method",
                        "shots",
                        "rate",
                        "trained",
                        "share",
                        "a task",
                        hasScores() ? "right %" : "",
                        "loss",
                        "forgetting",
                        "step ms",
                        "memory",
                        "token",
                        "merged");
        for (CompareRow row : rows) {
            table.row(row.label(), cells(row).toArray(String[]::new));
        }
        List<String> lines = new ArrayList<>(table.lines());
        lines.add("");
        claims.forEach(claim ->
                lines.add(String.format("%-14s %s: %s", claim.verdict().words(), claim.text(), claim.figure())));
        return lines;
    }

    /** The cells of a row but for its label, in the order of the table's heading. */
    List<String> cells(CompareRow row) {
        boolean trained = row.trainable() > 0;
        return List.of(
                trained ? Units.count(row.shots()) : "",
                trained ? Units.plain(row.learningRate()) : "",
                trained ? Units.count(row.trainable()) : "",
                trained ? Units.fixed(100 * row.trainableShare(), 2) + " %" : "",
                trained ? Units.bytes(row.bytesPerTask()) : "",
                hasScores() ? spread(row.score(), 1) : "",
                spread(row.loss(), 3),
                Double.isFinite(row.forgetting().mean()) ? "x " + spread(row.forgetting(), 2) : "",
                trained ? Units.fixed(row.stepMs(), 1) : "",
                trained ? Units.bytes(row.peakBytes()) : "",
                "x " + Units.fixed(row.tokenMs().separateRatio(), 2),
                row.tokenMs().mergedRatio() == null
                        ? ""
                        : "x " + Units.fixed(row.tokenMs().mergedRatio(), 2));
    }

    private static String spread(Spread spread, int decimals) {
        String mean = Units.fixed(spread.mean(), decimals);
        return Double.isNaN(spread.std()) ? mean : mean + " ± " + Units.fixed(spread.std(), decimals);
    }
}
