package dev.graft.data.jinja;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Python's semantics of the values of a template: truth, printing, equality, order, length, iteration. */
final class Values {
    private Values() {}

    static boolean isTrue(@Nullable Object value) {
        return switch (value) {
            case null -> false;
            case Undefined undefined -> false;
            case Boolean bool -> bool;
            case String text -> !text.isEmpty();
            case Collection<?> items -> !items.isEmpty();
            case Map<?, ?> map -> !map.isEmpty();
            case Number number -> number.doubleValue() != 0;
            default -> true;
        };
    }

    /** {@code str(value)}. */
    static String text(@Nullable Object value) {
        return switch (value) {
            case String text -> text;
            case Undefined undefined -> "";
            case null, default -> repr(value);
        };
    }

    /** {@code repr(value)}. */
    static String repr(@Nullable Object value) {
        return switch (value) {
            case null -> "None";
            case Undefined undefined -> "Undefined";
            case Boolean bool -> bool ? "True" : "False";
            case String text -> quote(text);
            case Number number -> number(number);
            case List<?> items -> {
                List<String> parts = new ArrayList<>();
                items.forEach(item -> parts.add(repr(item)));
                yield "[" + String.join(", ", parts) + "]";
            }
            case Map<?, ?> map -> {
                List<String> parts = new ArrayList<>();
                map.forEach((key, item) -> parts.add(repr(key) + ": " + repr(item)));
                yield "{" + String.join(", ", parts) + "}";
            }
            default -> throw new JinjaException("a " + typeName(value) + " cannot be printed");
        };
    }

    private static String quote(String text) {
        char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        StringBuilder out = new StringBuilder().append(quote);
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                    if (c == quote) {
                        out.append('\\').append(quote);
                    } else if (c < ' ' || (c >= 0x7F && c < 0xA0)) {
                        out.append(String.format("\\x%02x", c));
                    } else {
                        out.appendCodePoint(c);
                    }
                }
            }
        });
        return out.append(quote).toString();
    }

    /** A number as Python prints it: {@code 1.0}, {@code 1e+16}, {@code 1e-05}. */
    static String number(Number number) {
        if (isInteger(number)) {
            return number.toString();
        }
        double value = number.doubleValue();
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        double size = Math.abs(value);
        if (size == 0 || (size >= 1e-4 && size < 1e16)) {
            String plain = value == 0
                    ? Double.toString(value)
                    : new BigDecimal(Double.toString(value))
                            .stripTrailingZeros()
                            .toPlainString();
            return plain.contains(".") ? plain : plain + ".0";
        }
        String[] parts = Double.toString(value).split("E");
        int exponent = Integer.parseInt(parts[1]);
        String mantissa = parts[0].endsWith(".0") ? parts[0].substring(0, parts[0].length() - 2) : parts[0];
        return mantissa + "e" + (exponent < 0 ? "-" : "+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
    }

    static boolean isInteger(@Nullable Object value) {
        return value instanceof Number
                && !(value instanceof Double)
                && !(value instanceof Float)
                && !(value instanceof BigDecimal);
    }

    static boolean isFloat(@Nullable Object value) {
        return value instanceof Number && !isInteger(value);
    }

    /** The value of an integer or boolean, for positions, counts and steps. */
    static long integer(@Nullable Object value) {
        if (value instanceof Boolean bool) {
            return bool ? 1 : 0;
        }
        if (isInteger(value)) {
            return ((Number) value).longValue();
        }
        throw new JinjaException("an integer is needed, not " + typeName(value));
    }

    /** Booleans as the integers that they are in Python; other values unchanged. */
    static @Nullable Object numeric(@Nullable Object value) {
        return value instanceof Boolean bool ? (Object) (bool ? 1L : 0L) : value;
    }

    static boolean equal(@Nullable Object left, @Nullable Object right) {
        Object a = numeric(left);
        Object b = numeric(right);
        if (a == null || b == null) {
            return a == b;
        }
        if (a instanceof Number x && b instanceof Number y) {
            return compareNumbers(x, y) == 0;
        }
        if (a instanceof List<?> x && b instanceof List<?> y) {
            Iterator<?> other = y.iterator();
            return x.size() == y.size() && x.stream().allMatch(item -> equal(item, other.next()));
        }
        if (a instanceof Map<?, ?> x && b instanceof Map<?, ?> y) {
            return x.size() == y.size()
                    && x.entrySet().stream()
                            .allMatch(e -> y.containsKey(e.getKey()) && equal(e.getValue(), y.get(e.getKey())));
        }
        return a.equals(b);
    }

    /** The order of two numbers, strings or lists. */
    static int compare(@Nullable Object left, @Nullable Object right) {
        Object a = numeric(left);
        Object b = numeric(right);
        if (a instanceof Number x && b instanceof Number y) {
            return compareNumbers(x, y);
        }
        if (a instanceof String x && b instanceof String y) {
            return compareCodePoints(x, y);
        }
        if (a instanceof List<?> x && b instanceof List<?> y) {
            for (int i = 0; i < Math.min(x.size(), y.size()); i++) {
                if (!equal(x.get(i), y.get(i))) {
                    return compare(x.get(i), y.get(i));
                }
            }
            return Integer.compare(x.size(), y.size());
        }
        throw failOn(left, right, "cannot compare " + typeName(left) + " with " + typeName(right));
    }

    private static int compareNumbers(Number x, Number y) {
        return isInteger(x) && isInteger(y)
                ? Long.compare(x.longValue(), y.longValue())
                : Double.compare(x.doubleValue(), y.doubleValue());
    }

    private static int compareCodePoints(String x, String y) {
        return Arrays.compare(x.codePoints().toArray(), y.codePoints().toArray());
    }

    static long length(@Nullable Object value) {
        return switch (value) {
            case String text -> Strings.length(text);
            case Collection<?> items -> items.size();
            case Map<?, ?> map -> map.size();
            case Undefined undefined -> 0;
            case null, default -> throw new JinjaException("a " + typeName(value) + " has no length");
        };
    }

    /** What a {@code for} over the value visits: items, keys or characters. */
    static List<@Nullable Object> items(@Nullable Object value) {
        return switch (value) {
            case String text -> Strings.characters(text);
            case Collection<?> items -> new ArrayList<@Nullable Object>(items);
            case Map<?, ?> map -> new ArrayList<@Nullable Object>(map.keySet());
            case Undefined undefined -> List.of();
            case null, default -> throw new JinjaException("a " + typeName(value) + " cannot be iterated");
        };
    }

    static boolean contains(@Nullable Object container, @Nullable Object item) {
        if (container instanceof String text) {
            if (item instanceof String part) {
                return text.contains(part);
            }
            throw failOn(container, item, "'in' a string needs a string, not " + typeName(item));
        }
        if (container instanceof Undefined undefined) {
            return false;
        }
        return items(container).stream().anyMatch(candidate -> equal(candidate, item));
    }

    /** An error of an operation on two values: that one is undefined, if so, and else {@code message}. */
    static JinjaException failOn(@Nullable Object left, @Nullable Object right, String message) {
        if (left instanceof Undefined undefined) {
            return undefined.error();
        }
        return right instanceof Undefined undefined ? undefined.error() : new JinjaException(message);
    }

    static String typeName(@Nullable Object value) {
        return switch (value) {
            case null -> "none";
            case Undefined undefined -> "undefined";
            case Boolean bool -> "boolean";
            case String text -> "string";
            case List<?> list -> "list";
            case Map<?, ?> map -> "mapping";
            case Callable callable -> "function";
            case Number number -> isInteger(number) ? "integer" : "float";
            default -> value.getClass().getSimpleName().toLowerCase(Locale.ROOT);
        };
    }
}
