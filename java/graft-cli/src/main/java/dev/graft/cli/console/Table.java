package dev.graft.cli.console;

import java.util.ArrayList;
import java.util.List;

/** Lines of a label and its values, in columns: labels to the left, numbers to the right. */
public final class Table {
    private final List<String[]> rows = new ArrayList<>();
    private final boolean valuesRight;

    private Table(boolean valuesRight) {
        this.valuesRight = valuesRight;
    }

    /** Values start below each other. */
    public static Table ofTexts() {
        return new Table(false);
    }

    /** Values end below each other. */
    public static Table ofNumbers() {
        return new Table(true);
    }

    public Table row(String label, String... values) {
        String[] row = new String[values.length + 1];
        row[0] = label;
        System.arraycopy(values, 0, row, 1, values.length);
        rows.add(row);
        return this;
    }

    /** The table's lines. */
    public List<String> lines() {
        int columns = rows.stream().mapToInt(row -> row.length).max().orElse(0);
        int[] widths = new int[columns];
        for (String[] row : rows) {
            for (int i = 0; i < row.length; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        return rows.stream().map(row -> line(row, widths)).toList();
    }

    private String line(String[] row, int[] widths) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < row.length; i++) {
            String padding = " ".repeat(widths[i] - row[i].length());
            boolean right = valuesRight && i > 0;
            line.append(i == 0 ? "" : "  ").append(right ? padding + row[i] : row[i] + padding);
        }
        return line.toString().stripTrailing();
    }
}
