package dev.graft.data.jinja;

import dev.graft.data.jinja.JinjaTemplate.Span;
import java.util.ArrayList;
import java.util.List;

/** The text rendered so far and the spans of it that came from {@code generation} blocks. */
final class Output {
    private final StringBuilder text = new StringBuilder();
    private final List<Span> generated = new ArrayList<>();

    void append(String piece) {
        text.append(piece);
    }

    int length() {
        return text.length();
    }

    void markGenerated(int start) {
        generated.add(new Span(start, text.length()));
    }

    String text() {
        return text.toString();
    }

    List<Span> generated() {
        return List.copyOf(generated);
    }
}
