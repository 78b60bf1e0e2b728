package dev.graft.data.jinja;

import dev.graft.data.jinja.Callable.Arguments;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The methods of Python's {@code str}, {@code dict} and {@code list} that do not change their object. */
final class Methods {
    private static final Set<String> OF_STRING = Set.of(
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "rsplit",
            "splitlines",
            "startswith",
            "endswith",
            "replace",
            "upper",
            "lower",
            "title",
            "capitalize",
            "find",
            "rfind",
            "count",
            "join",
            "removeprefix",
            "removesuffix",
            "isdigit",
            "isalpha",
            "isspace",
            "isupper",
            "islower");
    private static final Set<String> OF_MAP = Set.of("items", "keys", "values", "get");
    private static final Set<String> OF_LIST = Set.of("index", "count");

    private Methods() {}

    /** The method {@code name} bound to {@code self}, or null where the type has none. */
    static @Nullable Callable find(@Nullable Object self, String name) {
        return switch (self) {
            case String text when OF_STRING.contains(name) -> arguments -> onString(text, name, arguments);
            case Map<?, ?> map when OF_MAP.contains(name) -> arguments -> onMap(map, name, arguments);
            case List<?> list when OF_LIST.contains(name) -> arguments -> onList(list, name, arguments);
            case null, default -> null;
        };
    }

    private static @Nullable Object onMap(Map<?, ?> map, String name, Arguments arguments) {
        return switch (name) {
            case "items" -> pairs(map);
            case "keys" -> new ArrayList<@Nullable Object>(map.keySet());
            case "values" -> new ArrayList<@Nullable Object>(map.values());
            case "get" -> {
                Object value = map.containsKey(arguments.required(0, "key"))
                        ? map.get(arguments.positional().getFirst())
                        : arguments.get(1, "default", null);
                yield value;
            }
            default -> throw new JinjaException("mapping has no method " + name);
        };
    }

    static List<@Nullable Object> pairs(Map<?, ?> map) {
        List<@Nullable Object> pairs = new ArrayList<>(map.size());
        map.forEach((key, value) -> pairs.add(Arrays.asList(key, value)));
        return pairs;
    }

    private static Object onList(List<?> list, String name, Arguments arguments) {
        Object wanted = arguments.required(0, "value");
        if (name.equals("count")) {
            return list.stream().filter(item -> Values.equal(item, wanted)).count();
        }
        for (int i = 0; i < list.size(); i++) {
            if (Values.equal(list.get(i), wanted)) {
                return (long) i;
            }
        }
        throw new JinjaException(Values.repr(wanted) + " is not in the list");
    }

    private static Object onString(String text, String name, Arguments arguments) {
        return switch (name) {
            case "strip" -> {
                IntPredicate drop = dropped(arguments);
                yield Strings.stripStart(Strings.stripEnd(text, drop), drop);
            }
            case "lstrip" -> Strings.stripStart(text, dropped(arguments));
            case "rstrip" -> Strings.stripEnd(text, dropped(arguments));
            case "split" -> Strings.split(text, separator(arguments), limit(arguments, 1, "maxsplit"));
            case "rsplit" -> rsplit(text, separator(arguments), limit(arguments, 1, "maxsplit"));
            case "splitlines" -> lines(text);
            case "startswith" -> any(arguments.required(0, "prefix"), text::startsWith);
            case "endswith" -> any(arguments.required(0, "suffix"), text::endsWith);
            case "replace" ->
                Strings.replace(
                        text, arguments.string(0, "old"), arguments.string(1, "new"), limit(arguments, 2, "count"));
            case "upper" -> text.toUpperCase(Locale.ROOT);
            case "lower" -> text.toLowerCase(Locale.ROOT);
            case "title" -> Strings.title(text, Character::isLetter);
            case "capitalize" -> Strings.capitalize(text);
            case "find" -> position(text, text.indexOf(arguments.string(0, "sub")));
            case "rfind" -> position(text, text.lastIndexOf(arguments.string(0, "sub")));
            case "count" ->
                (long) Strings.split(text, arguments.string(0, "sub"), -1).size() - 1;
            case "join" -> Filters.join(arguments.required(0, "iterable"), text);
            case "removeprefix" ->
                text.startsWith(arguments.string(0, "prefix"))
                        ? text.substring(arguments.string(0, "prefix").length())
                        : text;
            case "removesuffix" ->
                text.endsWith(arguments.string(0, "suffix"))
                        ? text.substring(
                                0, text.length() - arguments.string(0, "suffix").length())
                        : text;
            case "isdigit" -> all(text, Character::isDigit);
            case "isalpha" -> all(text, Character::isLetter);
            case "isspace" -> all(text, Strings::isSpace);
            case "isupper" -> !text.equals(text.toLowerCase(Locale.ROOT)) && text.equals(text.toUpperCase(Locale.ROOT));
            case "islower" -> !text.equals(text.toUpperCase(Locale.ROOT)) && text.equals(text.toLowerCase(Locale.ROOT));
            default -> throw new JinjaException("string has no method " + name);
        };
    }

    private static IntPredicate dropped(Arguments arguments) {
        if (arguments.get(0, "chars", null) == null) {
            return Strings::isSpace;
        }
        String characters = arguments.string(0, "chars");
        return c -> characters.indexOf(c) >= 0;
    }

    private static @Nullable String separator(Arguments arguments) {
        return arguments.get(0, "sep", null) == null ? null : arguments.string(0, "sep");
    }

    private static long limit(Arguments arguments, int index, String name) {
        return Values.integer(arguments.get(index, name, -1L));
    }

    private static Object rsplit(String text, @Nullable String separator, long limit) {
        if (separator != null) {
            return Strings.splitFromEnd(text, separator, limit);
        }
        if (limit < 0) {
            return Strings.split(text, null, -1);
        }
        throw new JinjaException("rsplit() with a count needs a separator");
    }

    private static List<@Nullable Object> lines(String text) {
        List<@Nullable Object> lines =
                new ArrayList<>(Arrays.asList(text.split("\r\n|[\n\r\u000B\f\u001C-\u001E\u0085\u2028\u2029]", -1)));
        if ("".equals(lines.getLast())) {
            lines.removeLast();
        }
        return lines;
    }

    private static boolean any(@Nullable Object affixes, Predicate<String> matches) {
        List<@Nullable Object> all = affixes instanceof List<?> ? Values.items(affixes) : Arrays.asList(affixes);
        return all.stream().anyMatch(affix -> {
            if (affix instanceof String text) {
                return matches.test(text);
            }
            throw Values.failOn(affix, affix, "startswith/endswith need a string, not " + Values.typeName(affix));
        });
    }

    private static long position(String text, int index) {
        return index < 0 ? -1 : text.codePointCount(0, index);
    }

    private static boolean all(String text, IntPredicate predicate) {
        return !text.isEmpty() && text.codePoints().allMatch(predicate);
    }
}
