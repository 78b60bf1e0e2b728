package dev.graft.data.jinja;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** {@code json.dumps} of Python: {@code ", "} and {@code ": "} between things, no HTML escapes, optional indentation. */
final class PythonJson {
    private final boolean asciiOnly;
    private final boolean sortKeys;
    private final @Nullable String indent;
    private final String itemSeparator;
    private final String keySeparator;
    private final StringBuilder out = new StringBuilder();

    private PythonJson(Callable.Arguments options) {
        asciiOnly = Values.isTrue(options.get(0, "ensure_ascii", false));
        Object indentation = options.get(1, "indent", null);
        indent = indentation instanceof String text
                ? text
                : indentation == null ? null : " ".repeat(Math.clamp(Values.integer(indentation), 0, 100));
        if (options.get(2, "separators", null) instanceof List<?> pair) {
            itemSeparator = Values.text(pair.get(0));
            keySeparator = Values.text(pair.get(1));
        } else {
            itemSeparator = indent == null ? ", " : ",";
            keySeparator = ": ";
        }
        sortKeys = Values.isTrue(options.get(3, "sort_keys", false));
    }

    /** Arguments as of the {@code tojson} of transformers: ensure_ascii, indent, separators, sort_keys. */
    static String write(@Nullable Object value, Callable.Arguments options) {
        PythonJson json = new PythonJson(options);
        json.value(value, 0);
        return json.out.toString();
    }

    private void value(@Nullable Object value, int depth) {
        switch (value) {
            case null -> out.append("null");
            case Boolean bool -> out.append(bool);
            case String text -> string(text);
            case Number number -> out.append(number(number));
            case List<?> list -> {
                out.append('[');
                boolean first = true;
                for (Object item : list) {
                    separate(first, depth + 1);
                    value(item, depth + 1);
                    first = false;
                }
                close(first, ']', depth);
            }
            case Map<?, ?> map -> {
                out.append('{');
                boolean first = true;
                for (Map.Entry<?, ?> entry : sorted(map).entrySet()) {
                    separate(first, depth + 1);
                    string(key(entry.getKey()));
                    out.append(keySeparator);
                    value(entry.getValue(), depth + 1);
                    first = false;
                }
                close(first, '}', depth);
            }
            default -> throw Values.failOn(value, null, "a " + Values.typeName(value) + " has no JSON form");
        }
    }

    private Map<?, ?> sorted(Map<?, ?> map) {
        if (!sortKeys) {
            return map;
        }
        Map<@Nullable Object, @Nullable Object> sorted = new TreeMap<>(Values::compare);
        sorted.putAll(map);
        return sorted;
    }

    private static String key(@Nullable Object key) {
        return switch (key) {
            case null -> "null";
            case Boolean bool -> bool.toString();
            case String text -> text;
            case Number number -> number(number);
            default -> throw new JinjaException("a " + Values.typeName(key) + " cannot be a JSON key");
        };
    }

    private static String number(Number number) {
        return switch (Values.number(number)) {
            case "nan" -> "NaN";
            case "inf" -> "Infinity";
            case "-inf" -> "-Infinity";
            case String digits -> digits;
        };
    }

    private void separate(boolean first, int depth) {
        if (!first) {
            out.append(itemSeparator);
        }
        newLine(depth);
    }

    private void close(boolean empty, char bracket, int depth) {
        if (!empty) {
            newLine(depth);
        }
        out.append(bracket);
    }

    private void newLine(int depth) {
        if (indent != null) {
            out.append('\n').repeat(indent, depth);
        }
    }

    private void string(String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                default -> {
                    if (c < ' ' || (asciiOnly && c > '~')) {
                        out.append(String.format("\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }
}
