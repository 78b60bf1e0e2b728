package dev.graft.cli.run;

import com.fasterxml.jackson.databind.node.ArrayNode;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.engine.profile.EngineProfile;
import dev.graft.io.Json;
import java.util.List;

/**
 * Where the time of a step goes.
 *
 * @param rows of all measured steps together
 * @param steps how many they were
 */
public record ProfileTable(List<EngineProfile.Row> rows, int steps) {
    /** Operation, calls a step, milliseconds a step, share, and what it reached: GFLOP/s of products, GB/s of the rest. */
    public List<String> lines() {
        double total = rows.stream().mapToDouble(EngineProfile.Row::seconds).sum();
        Table table = Table.ofNumbers().row("operation", "calls", "ms", "share", "GFLOP/s", "GB/s");
        for (EngineProfile.Row row : rows) {
            table.row(
                    row.name(),
                    Long.toString(row.calls() / steps),
                    Units.fixed(row.seconds() * 1e3 / steps, 2),
                    Units.fixed(100 * row.seconds() / total, 1) + " %",
                    row.flops() > 0 ? Units.fixed(row.flops() / row.seconds() / 1e9, 1) : "",
                    Units.fixed(row.bytes() / row.seconds() / 1e9, 1));
        }
        return table.lines();
    }

    /** The same as JSON, in seconds, flops and bytes a step. */
    public ArrayNode json() {
        ArrayNode json = Json.mapper().createArrayNode();
        for (EngineProfile.Row row : rows) {
            json.addObject()
                    .put("operation", row.name())
                    .put("calls", row.calls() / steps)
                    .put("seconds", row.seconds() / steps)
                    .put("flops", row.flops() / steps)
                    .put("bytes", row.bytes() / steps);
        }
        return json;
    }
}
