package dev.graft.data.jinja;

import dev.graft.data.jinja.Callable.Arguments;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The filters of Jinja that chat templates use: {@code value | name(arguments)}. */
final class Filters {
    /** A filter: the value that it is applied to, and the arguments written after its name. */
    @FunctionalInterface
    interface Filter {
        @Nullable
        Object apply(@Nullable Object value, Arguments arguments);
    }

    private static final Map<String, Filter> BY_NAME = new HashMap<>();

    static {
        registerStrings();
        registerNumbers();
        registerSequences();
        registerSelections();
    }

    private Filters() {}

    static @Nullable Object apply(String name, @Nullable Object value, Arguments arguments) {
        Filter filter = BY_NAME.get(name);
        if (filter == null) {
            throw new JinjaException("filter '" + name + "' is not supported");
        }
        return filter.apply(value, arguments);
    }

    static boolean exists(String name) {
        return BY_NAME.containsKey(name);
    }

    private static void registerStrings() {
        BY_NAME.put("trim", (value, arguments) -> {
            Callable strip = Methods.find(Values.text(value), "strip");
            return Objects.requireNonNull(strip).call(arguments);
        });
        BY_NAME.put("upper", (value, arguments) -> Values.text(value).toUpperCase(Locale.ROOT));
        BY_NAME.put("lower", (value, arguments) -> Values.text(value).toLowerCase(Locale.ROOT));
        BY_NAME.put("capitalize", (value, arguments) -> Strings.capitalize(Values.text(value)));
        BY_NAME.put(
                "title",
                (value, arguments) ->
                        Strings.title(Values.text(value), c -> !Strings.isSpace(c) && "-({[<".indexOf(c) < 0));
        BY_NAME.put("replace", (value, arguments) -> {
            Object count = arguments.get(2, "count", null);
            return Strings.replace(
                    Values.text(value),
                    Values.text(arguments.required(0, "old")),
                    Values.text(arguments.required(1, "new")),
                    count == null ? -1 : Values.integer(count));
        });
        BY_NAME.put("string", (value, arguments) -> Values.text(value));
        BY_NAME.put("safe", (value, arguments) -> Values.text(value));
        BY_NAME.put("indent", (value, arguments) -> indent(Values.text(value), arguments));
        BY_NAME.put("tojson", PythonJson::write);
    }

    private static void registerNumbers() {
        BY_NAME.put("int", Filters::toInteger);
        BY_NAME.put("float", Filters::toFloat);
        BY_NAME.put(
                "abs",
                (value, arguments) -> Values.compare(value, 0L) < 0 ? Arithmetic.negate(value) : Values.numeric(value));
        BY_NAME.put("sum", (value, arguments) -> {
            Object sum = arguments.get(1, "start", 0L);
            for (Object item : Values.items(value)) {
                sum = Arithmetic.apply("+", sum, key(arguments.get(0, "attribute", null), item));
            }
            return sum;
        });
        BY_NAME.put("min", (value, arguments) -> extreme(value, Values::compare));
        BY_NAME.put("max", (value, arguments) -> extreme(value, (a, b) -> Values.compare(b, a)));
    }

    private static void registerSequences() {
        Filter length = (value, arguments) -> Values.length(value);
        BY_NAME.put("length", length);
        BY_NAME.put("count", length);
        Filter orDefault = (value, arguments) -> {
            boolean replaced = value instanceof Undefined
                    || (Values.isTrue(arguments.get(1, "boolean", false)) && !Values.isTrue(value));
            return replaced ? arguments.get(0, "default_value", "") : value;
        };
        BY_NAME.put("default", orDefault);
        BY_NAME.put("d", orDefault);
        BY_NAME.put("join", (value, arguments) -> {
            Object attribute = arguments.get(1, "attribute", null);
            List<@Nullable Object> items = new ArrayList<>();
            Values.items(value).forEach(item -> items.add(Values.text(key(attribute, item))));
            return join(items, Values.text(arguments.get(0, "d", "")));
        });
        BY_NAME.put("list", (value, arguments) -> Values.items(value));
        BY_NAME.put("first", (value, arguments) -> {
            List<@Nullable Object> items = Values.items(value);
            return items.isEmpty() ? new Undefined("first item of an empty sequence") : items.getFirst();
        });
        BY_NAME.put("last", (value, arguments) -> {
            List<@Nullable Object> items = Values.items(value);
            return items.isEmpty() ? new Undefined("last item of an empty sequence") : items.getLast();
        });
        BY_NAME.put(
                "reverse",
                (value, arguments) -> value instanceof String text
                        ? new StringBuilder(text).reverse().toString()
                        : new ArrayList<>(Values.items(value).reversed()));
        BY_NAME.put("sort", (value, arguments) -> {
            Comparator<@Nullable Object> order = order(
                    arguments.get(2, "attribute", null), Values.isTrue(arguments.get(1, "case_sensitive", false)));
            List<@Nullable Object> items = new ArrayList<>(Values.items(value));
            items.sort(Values.isTrue(arguments.get(0, "reverse", false)) ? order.reversed() : order);
            return items;
        });
        BY_NAME.put("unique", (value, arguments) -> {
            Comparator<@Nullable Object> order = order(
                    arguments.get(1, "attribute", null), Values.isTrue(arguments.get(0, "case_sensitive", false)));
            List<@Nullable Object> items = new ArrayList<>();
            for (Object item : Values.items(value)) {
                if (items.stream().noneMatch(seen -> order.compare(seen, item) == 0)) {
                    items.add(item);
                }
            }
            return items;
        });
        BY_NAME.put("items", (value, arguments) -> switch (value) {
            case Map<?, ?> map -> Methods.pairs(map);
            case Undefined undefined -> List.of();
            case null, default -> throw new JinjaException("items needs a mapping, not " + Values.typeName(value));
        });
        BY_NAME.put("dictsort", (value, arguments) -> {
            if (!(value instanceof Map<?, ?> map)) {
                throw Values.failOn(value, null, "dictsort needs a mapping, not " + Values.typeName(value));
            }
            List<@Nullable Object> pairs = Methods.pairs(map);
            pairs.sort((a, b) -> order(0L, false).compare(a, b));
            return pairs;
        });
    }

    private static void registerSelections() {
        BY_NAME.put("map", (value, arguments) -> {
            List<@Nullable Object> mapped = new ArrayList<>();
            Object attribute = arguments.named().get("attribute");
            for (Object item : Values.items(value)) {
                if (attribute != null) {
                    Object found = key(attribute, item);
                    mapped.add(found instanceof Undefined ? arguments.named().getOrDefault("default", found) : found);
                } else {
                    mapped.add(apply(arguments.string(0, "filter"), item, arguments.from(1)));
                }
            }
            return mapped;
        });
        BY_NAME.put("select", (value, arguments) -> keep(value, item -> passes(item, arguments)));
        BY_NAME.put("reject", (value, arguments) -> keep(value, item -> !passes(item, arguments)));
        BY_NAME.put("selectattr", (value, arguments) -> keep(value, item -> passesByKey(item, arguments)));
        BY_NAME.put("rejectattr", (value, arguments) -> keep(value, item -> !passesByKey(item, arguments)));
    }

    private static boolean passes(@Nullable Object item, Arguments test) {
        return test.size() == 0 ? Values.isTrue(item) : Tests.apply(test.string(0, "test"), item, test.from(1));
    }

    private static boolean passesByKey(@Nullable Object item, Arguments arguments) {
        return passes(key(arguments.required(0, "attribute"), item), arguments.from(1));
    }

    private static List<@Nullable Object> keep(@Nullable Object value, Predicate<@Nullable Object> wanted) {
        List<@Nullable Object> kept = new ArrayList<>();
        for (Object item : Values.items(value)) {
            if (wanted.test(item)) {
                kept.add(item);
            }
        }
        return kept;
    }

    /** {@code item} itself, or what the path {@code "a.b"} or the index leads to in it. */
    private static @Nullable Object key(@Nullable Object attribute, @Nullable Object item) {
        if (attribute == null) {
            return item;
        }
        Object found = item;
        for (String part : Values.text(attribute).split("\\.")) {
            boolean index = !part.isEmpty() && part.chars().allMatch(Character::isDigit);
            found = Access.item(found, index ? (Object) Long.valueOf(part) : part);
        }
        return found;
    }

    private static Comparator<@Nullable Object> order(@Nullable Object attribute, boolean caseSensitive) {
        return (a, b) ->
                Values.compare(folded(key(attribute, a), caseSensitive), folded(key(attribute, b), caseSensitive));
    }

    private static @Nullable Object folded(@Nullable Object value, boolean caseSensitive) {
        return value instanceof String text && !caseSensitive ? text.toLowerCase(Locale.ROOT) : value;
    }

    private static @Nullable Object extreme(@Nullable Object value, Comparator<@Nullable Object> order) {
        List<@Nullable Object> items = Values.items(value);
        return items.isEmpty() ? new Undefined("extreme of an empty sequence") : Collections.min(items, order);
    }

    static String join(@Nullable Object items, String separator) {
        List<String> parts = new ArrayList<>();
        for (Object item : Values.items(items)) {
            if (!(item instanceof String part)) {
                throw Values.failOn(item, null, "join() needs strings, not " + Values.typeName(item));
            }
            parts.add(part);
        }
        return String.join(separator, parts);
    }

    private static String indent(String text, Arguments arguments) {
        Object width = arguments.get(0, "width", 4L);
        String indentation =
                width instanceof String given ? given : " ".repeat(Math.clamp(Values.integer(width), 0, 100));
        boolean first = Values.isTrue(arguments.get(1, "first", false));
        boolean blank = Values.isTrue(arguments.get(2, "blank", false));
        String[] lines = text.split("\n", -1);
        for (int i = 0; i < lines.length; i++) {
            if (i == 0 ? first : blank || !lines[i].isEmpty()) {
                lines[i] = indentation + lines[i];
            }
        }
        return String.join("\n", lines);
    }

    private static @Nullable Object toInteger(@Nullable Object value, Arguments arguments) {
        Object number = Values.numeric(value);
        if (number instanceof Number known) {
            return known.longValue();
        }
        if (value instanceof String text) {
            try {
                return (long) Double.parseDouble(Strings.strip(text));
            } catch (NumberFormatException e) {
                return arguments.get(0, "default", 0L);
            }
        }
        return arguments.get(0, "default", 0L);
    }

    private static @Nullable Object toFloat(@Nullable Object value, Arguments arguments) {
        Object number = Values.numeric(value);
        if (number instanceof Number known) {
            return known.doubleValue();
        }
        if (value instanceof String text) {
            try {
                return Double.parseDouble(Strings.strip(text));
            } catch (NumberFormatException e) {
                return arguments.get(0, "default", 0.0);
            }
        }
        return arguments.get(0, "default", 0.0);
    }
}
