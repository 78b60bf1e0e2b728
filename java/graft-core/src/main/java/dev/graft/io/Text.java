package dev.graft.io;

import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;

/** Strings as Python and Rust order them, and strings from files made fit for a one-line message. */
final class Text {
    /**
     * By code point, the order of Python's {@code str} and of Rust's UTF-8 strings. {@link String#compareTo} differs: it puts
     * U+FFEE after U+1F600, whose first UTF-16 unit is 0xD83D.
     */
    static final Comparator<String> BY_CODE_POINT =
            (a, b) -> Arrays.compare(a.codePoints().toArray(), b.codePoints().toArray());

    private static final int LONGEST_QUOTE = 120;
    private static final int LONGEST_LINE = 300;

    private Text() {}

    /** {@code 'text'}, on one line and not longer than a name should be. */
    static String quote(String text) {
        return "'" + printable(text, LONGEST_QUOTE) + "'";
    }

    /** {@code text} on one line of bounded length. */
    static String oneLine(String text) {
        return printable(text, LONGEST_LINE);
    }

    /**
     * {@code text} as a JSON string. Escapes what JSON demands, in the short form where there is one, as Rust's serde_json and
     * Python do; hexadecimal is in lower case.
     *
     * @param asciiOnly escape everything outside printable ASCII too, as Python's {@code ensure_ascii} does
     */
    static void appendJson(StringBuilder out, String text, boolean asciiOnly) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (c < ' ' || asciiOnly && c > '~') {
                        appendEscape(out, c);
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }

    private static void appendEscape(StringBuilder out, char c) {
        out.append("\\u").append(HexFormat.of().toHexDigits(c));
    }

    private static String printable(String text, int longest) {
        String cut = text.length() <= longest ? text : text.substring(0, longest) + "...";
        StringBuilder out = new StringBuilder(cut.length());
        for (int i = 0; i < cut.length(); i++) {
            char c = cut.charAt(i);
            if (Character.isISOControl(c) || c == '\u2028' || c == '\u2029') {
                appendEscape(out, c);
            } else {
                out.append(c);
            }
        }
        return out.toString();
    }
}
