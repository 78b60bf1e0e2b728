package dev.graft.data.jinja;

import dev.graft.data.jinja.Callable.Arguments;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The tests of Jinja: {@code value is name(argument)}. */
final class Tests {
    private Tests() {}

    static boolean apply(String name, @Nullable Object value, Arguments arguments) {
        return switch (name) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none" -> value == null;
            case "string" -> value instanceof String;
            case "mapping" -> value instanceof Map;
            case "sequence", "iterable" ->
                value instanceof List || value instanceof Map || value instanceof String || value instanceof Undefined;
            case "number" -> Values.numeric(value) instanceof Number;
            case "integer" -> Values.isInteger(value);
            case "float" -> Values.isFloat(value);
            case "boolean" -> value instanceof Boolean;
            case "true" -> Boolean.TRUE.equals(value);
            case "false" -> Boolean.FALSE.equals(value);
            case "callable" -> value instanceof Callable;
            case "odd" -> Math.floorMod(Values.integer(value), 2) == 1;
            case "even" -> Math.floorMod(Values.integer(value), 2) == 0;
            case "divisibleby" -> Math.floorMod(Values.integer(value), Values.integer(other(arguments))) == 0;
            case "lower" -> Values.text(value).equals(Values.text(value).toLowerCase(Locale.ROOT));
            case "upper" -> Values.text(value).equals(Values.text(value).toUpperCase(Locale.ROOT));
            case "in" -> Values.contains(other(arguments), value);
            case "eq", "equalto", "==" -> Values.equal(value, other(arguments));
            case "ne", "!=" -> !Values.equal(value, other(arguments));
            case "lt", "lessthan", "<" -> Values.compare(value, other(arguments)) < 0;
            case "le", "<=" -> Values.compare(value, other(arguments)) <= 0;
            case "gt", "greaterthan", ">" -> Values.compare(value, other(arguments)) > 0;
            case "ge", ">=" -> Values.compare(value, other(arguments)) >= 0;
            case "sameas" -> value == other(arguments) || (value != null && value.equals(other(arguments)));
            case "filter" -> Filters.exists(Values.text(value));
            default -> throw new JinjaException("test '" + name + "' is not supported");
        };
    }

    private static @Nullable Object other(Arguments arguments) {
        return arguments.required(0, "other");
    }
}
