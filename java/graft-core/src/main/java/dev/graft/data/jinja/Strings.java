package dev.graft.data.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** Python's string functions where Java's differ: Unicode whitespace, positions in code points, string escapes. */
final class Strings {
    private Strings() {}

    /** What Python's {@code str.isspace} holds for whitespace. */
    static boolean isSpace(int c) {
        return Character.isWhitespace(c) || c == 0x85 || c == 0xA0 || c == 0x2007 || c == 0x202F;
    }

    /** Whether {@code text} from {@code start} on is one or more whitespace characters. */
    static boolean isBlank(String text, int start) {
        return start < text.length() && text.chars().skip(start).allMatch(Strings::isSpace);
    }

    static String strip(String text) {
        return stripStart(stripEnd(text));
    }

    static String stripEnd(String text) {
        return stripEnd(text, Strings::isSpace);
    }

    static String stripStart(String text) {
        return stripStart(text, Strings::isSpace);
    }

    static String stripEnd(String text, IntPredicate drop) {
        int end = text.length();
        while (end > 0 && drop.test(text.codePointBefore(end))) {
            end -= Character.charCount(text.codePointBefore(end));
        }
        return text.substring(0, end);
    }

    static String stripStart(String text, IntPredicate drop) {
        int start = 0;
        while (start < text.length() && drop.test(text.codePointAt(start))) {
            start += Character.charCount(text.codePointAt(start));
        }
        return text.substring(start);
    }

    static long length(String text) {
        return text.codePointCount(0, text.length());
    }

    static List<@Nullable Object> characters(String text) {
        List<@Nullable Object> characters = new ArrayList<>(text.length());
        text.codePoints().forEach(c -> characters.add(Character.toString(c)));
        return characters;
    }

    /** {@code text.split(separator, limit)}: on runs of whitespace where there is no separator; a negative limit is none. */
    static List<@Nullable Object> split(String text, @Nullable String separator, long limit) {
        List<@Nullable Object> parts = new ArrayList<>();
        if (separator == null) {
            String rest = stripStart(text);
            while (!rest.isEmpty()) {
                int end = 0;
                while (end < rest.length() && !isSpace(rest.charAt(end))) {
                    end++;
                }
                if (limit >= 0 && parts.size() == limit) {
                    parts.add(rest);
                    return parts;
                }
                parts.add(rest.substring(0, end));
                rest = stripStart(rest.substring(end));
            }
            return parts;
        }
        requireSeparator(separator);
        int from = 0;
        for (int at = text.indexOf(separator); at >= 0 && (limit < 0 || parts.size() < limit); ) {
            parts.add(text.substring(from, at));
            from = at + separator.length();
            at = text.indexOf(separator, from);
        }
        parts.add(text.substring(from));
        return parts;
    }

    /** {@code text.rsplit(separator, limit)} with a separator. */
    static List<@Nullable Object> splitFromEnd(String text, String separator, long limit) {
        requireSeparator(separator);
        List<@Nullable Object> parts = new ArrayList<>();
        int end = text.length();
        for (int at = text.lastIndexOf(separator, end - separator.length());
                at >= 0 && (limit < 0 || parts.size() < limit); ) {
            parts.addFirst(text.substring(at + separator.length(), end));
            end = at;
            at = end < separator.length() ? -1 : text.lastIndexOf(separator, end - separator.length());
        }
        parts.addFirst(text.substring(0, end));
        return parts;
    }

    private static void requireSeparator(String separator) {
        if (separator.isEmpty()) {
            throw new JinjaException("empty separator");
        }
    }

    /** {@code text.replace(from, to, limit)}; a negative limit is none. */
    static String replace(String text, String from, String to, long limit) {
        if (limit < 0) {
            return text.replace(from, to);
        }
        if (from.isEmpty()) {
            throw new JinjaException("replace() of an empty string with a count is not supported");
        }
        StringBuilder out = new StringBuilder();
        int start = 0;
        for (long done = 0; done < limit; done++) {
            int at = text.indexOf(from, start);
            if (at < 0) {
                break;
            }
            out.append(text, start, at).append(to);
            start = at + from.length();
        }
        return out.append(text, start, text.length()).toString();
    }

    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int first = text.offsetByCodePoints(0, 1);
        return text.substring(0, first).toUpperCase(Locale.ROOT)
                + text.substring(first).toLowerCase(Locale.ROOT);
    }

    /** Each run of letters with its first in title case and the others in lower case. */
    static String title(String text, IntPredicate isWordPart) {
        StringBuilder out = new StringBuilder(text.length());
        boolean inWord = false;
        for (int c : text.codePoints().toArray()) {
            boolean part = isWordPart.test(c);
            out.appendCodePoint(!part ? c : inWord ? Character.toLowerCase(c) : Character.toTitleCase(c));
            inWord = part;
        }
        return out.toString();
    }

    /** The value of a string literal's inside, with Python's escapes; unknown ones stay as they are. */
    static String unescape(String literal) {
        if (literal.indexOf('\\') < 0) {
            return literal;
        }
        StringBuilder out = new StringBuilder(literal.length());
        for (int i = 0; i < literal.length(); i++) {
            char c = literal.charAt(i);
            if (c != '\\' || i + 1 == literal.length()) {
                out.append(c);
                continue;
            }
            char escape = literal.charAt(++i);
            int digits = switch (escape) {
                case 'x' -> 2;
                case 'u' -> 4;
                case 'U' -> 8;
                default -> 0;
            };
            if (digits > 0) {
                out.appendCodePoint(codePoint(literal, i + 1, digits));
                i += digits;
            } else {
                out.append(simpleEscape(escape));
            }
        }
        return out.toString();
    }

    private static String simpleEscape(char escape) {
        return switch (escape) {
            case 'n' -> "\n";
            case 't' -> "\t";
            case 'r' -> "\r";
            case 'a' -> "\u0007";
            case 'b' -> "\b";
            case 'f' -> "\f";
            case 'v' -> "\u000B";
            case '0' -> "\0";
            case '\n' -> "";
            case '\\', '\'', '"' -> String.valueOf(escape);
            default -> "\\" + escape;
        };
    }

    private static int codePoint(String literal, int start, int digits) {
        try {
            int c = Integer.parseInt(literal.substring(start, start + digits), 16);
            if (Character.isValidCodePoint(c)) {
                return c;
            }
        } catch (NumberFormatException | IndexOutOfBoundsException e) {
            // falls through to the one message for every malformed escape
        }
        throw new JinjaException("malformed escape in string '" + literal + "'");
    }
}
