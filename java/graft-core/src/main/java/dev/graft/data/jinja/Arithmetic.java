package dev.graft.data.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Python's arithmetic operators on numbers (64-bit integers, overflow is an error), strings and lists. */
final class Arithmetic {
    private Arithmetic() {}

    static Object apply(String operator, @Nullable Object left, @Nullable Object right) {
        Object a = Values.numeric(left);
        Object b = Values.numeric(right);
        try {
            if (Values.isInteger(a) && Values.isInteger(b)) {
                return integers(operator, ((Number) a).longValue(), ((Number) b).longValue());
            }
            if (a instanceof Number x && b instanceof Number y) {
                return floats(operator, x.doubleValue(), y.doubleValue());
            }
        } catch (ArithmeticException e) {
            throw new JinjaException(e.getMessage());
        }
        if (operator.equals("+") && a instanceof String x && b instanceof String y) {
            return x + y;
        }
        if (operator.equals("+") && a instanceof List<?> x && b instanceof List<?> y) {
            List<@Nullable Object> joined = new ArrayList<>(x);
            joined.addAll(y);
            return joined;
        }
        if (operator.equals("*") && a instanceof String text && Values.isInteger(b)) {
            return text.repeat(count(b, text.length()));
        }
        if (operator.equals("*") && Values.isInteger(a) && b instanceof String text) {
            return text.repeat(count(a, text.length()));
        }
        if (operator.equals("*") && a instanceof List<?> items && Values.isInteger(b)) {
            return Collections.nCopies(count(b, items.size()), items).stream()
                    .flatMap(List::stream)
                    .toList();
        }
        throw Values.failOn(
                left,
                right,
                "'" + operator + "' does not go with " + Values.typeName(left) + " and " + Values.typeName(right));
    }

    static Object negate(@Nullable Object value) {
        return apply("*", -1L, requireNumber(value));
    }

    static Object plus(@Nullable Object value) {
        return apply("+", 0L, requireNumber(value));
    }

    private static Object requireNumber(@Nullable Object value) {
        if (Values.numeric(value) instanceof Number number) {
            return number;
        }
        throw Values.failOn(value, value, "a sign needs a number, not " + Values.typeName(value));
    }

    /** The number of repetitions, bounded so that a template cannot ask for all of the memory. */
    private static int count(@Nullable Object times, int unit) {
        long count = Math.max(0, Values.integer(times));
        if (count * Math.max(1, unit) > 1 << 24 || count > 1 << 24) {
            throw new JinjaException("repetition makes more than 2^24 items");
        }
        return (int) count;
    }

    private static Object integers(String operator, long a, long b) {
        return switch (operator) {
            case "+" -> Math.addExact(a, b);
            case "-" -> Math.subtractExact(a, b);
            case "*" -> Math.multiplyExact(a, b);
            case "/" -> {
                requireDivisor(b);
                yield (double) a / b;
            }
            case "//" -> Math.floorDiv(a, b);
            case "%" -> Math.floorMod(a, b);
            case "**" -> power(a, b);
            default -> throw new JinjaException("unknown operator '" + operator + "'");
        };
    }

    private static Object power(long base, long exponent) {
        if (exponent < 0) {
            return Math.pow(base, exponent);
        }
        if (Math.abs(base) <= 1) {
            return base == -1 && exponent % 2 == 0 ? 1L : exponent == 0 ? 1L : base;
        }
        long result = 1;
        for (long i = 0; i < exponent; i++) {
            result = Math.multiplyExact(result, base);
        }
        return result;
    }

    private static Object floats(String operator, double a, double b) {
        return switch (operator) {
            case "+" -> a + b;
            case "-" -> a - b;
            case "*" -> a * b;
            case "/" -> {
                requireDivisor(b);
                yield a / b;
            }
            case "//" -> {
                requireDivisor(b);
                yield Math.floor(a / b);
            }
            case "%" -> {
                requireDivisor(b);
                yield a - b * Math.floor(a / b);
            }
            case "**" -> Math.pow(a, b);
            default -> throw new JinjaException("unknown operator '" + operator + "'");
        };
    }

    private static void requireDivisor(double divisor) {
        if (divisor == 0) {
            throw new JinjaException("division by zero");
        }
    }
}
