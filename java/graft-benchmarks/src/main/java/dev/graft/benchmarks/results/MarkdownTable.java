package dev.graft.benchmarks.results;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/** A GitHub-flavoured Markdown table. */
final class MarkdownTable {
    private final List<String> header;
    private final List<List<String>> rows = new ArrayList<>();

    private MarkdownTable(List<String> header) {
        this.header = header;
    }

    static MarkdownTable of(List<String> header) {
        return new MarkdownTable(List.copyOf(header));
    }

    static MarkdownTable of(String... header) {
        return of(List.of(header));
    }

    MarkdownTable row(List<String> cells) {
        if (cells.size() != header.size()) {
            throw new IllegalArgumentException(cells.size() + " cells under " + header.size() + " headings");
        }
        rows.add(List.copyOf(cells));
        return this;
    }

    MarkdownTable row(String... cells) {
        return row(List.of(cells));
    }

    boolean isEmpty() {
        return rows.isEmpty();
    }

    List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add(line(header));
        lines.add("|" + String.join("|", Collections.nCopies(header.size(), "---")) + "|");
        rows.forEach(row -> lines.add(line(row)));
        return lines;
    }

    private static String line(List<String> cells) {
        return cells.stream().map(cell -> cell.replace("|", "\\|")).collect(Collectors.joining(" | ", "| ", " |"));
    }
}
