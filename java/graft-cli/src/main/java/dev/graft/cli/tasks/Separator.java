package dev.graft.cli.tasks;

import java.util.List;

/** What stands between the words of a list. */
enum Separator {
    COMMAS(", "),
    SEMICOLONS("; "),
    BARS(" | "),
    SPACES(" ");

    private final String text;

    Separator(String text) {
        this.text = text;
    }

    String join(List<String> words) {
        return String.join(text, words);
    }
}
