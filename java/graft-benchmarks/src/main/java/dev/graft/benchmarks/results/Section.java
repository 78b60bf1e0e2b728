package dev.graft.benchmarks.results;

import java.util.ArrayList;
import java.util.List;

/**
 * A table with its heading, and below it what a reader must know to believe it.
 *
 * @param notes lines below the table, such as {@link ResultFile#provenance}
 */
record Section(String heading, MarkdownTable table, List<String> notes) {
    Section {
        notes = List.copyOf(notes);
    }

    List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add("### " + heading);
        lines.add("");
        lines.addAll(table.lines());
        for (String note : notes) {
            lines.add("");
            lines.add(note);
        }
        lines.add("");
        return lines;
    }
}
