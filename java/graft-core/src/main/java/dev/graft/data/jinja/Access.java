package dev.graft.data.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code object.name}, {@code object[key]} and {@code object[start:stop:step]}. */
final class Access {
    private Access() {}

    /** {@code object.name}: an attribute or method of the object, and else its item of that name. */
    static @Nullable Object attribute(@Nullable Object object, String name) {
        Callable method = Methods.find(object, name);
        if (method != null) {
            return method;
        }
        return switch (object) {
            case Undefined undefined -> throw undefined.error();
            case Map<?, ?> map when map.containsKey(name) -> map.get(name);
            case AttributeHolder holder -> holder.attribute(name);
            case null, default -> new Undefined(name);
        };
    }

    /** {@code object[key]}: an item of the object, and else its attribute of that name. */
    static @Nullable Object item(@Nullable Object object, @Nullable Object key) {
        if (object instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (object instanceof Map<?, ?> map) {
            Object found = map.containsKey(key) ? key : sameKey(map, key);
            if (found != null) {
                return map.get(found);
            }
        } else if (Values.isInteger(key) && (object instanceof List<?> || object instanceof String)) {
            long index = ((Number) key).longValue();
            long length = Values.length(object);
            long at = index < 0 ? index + length : index;
            if (at < 0 || at >= length) {
                return new Undefined("item " + index);
            }
            return object instanceof List<?> list ? list.get((int) at) : characters((String) object, at, at + 1);
        }
        return key instanceof String name ? attribute(object, name) : new Undefined(Values.repr(key));
    }

    private static @Nullable Object sameKey(Map<?, ?> map, @Nullable Object key) {
        return key instanceof Number
                ? map.keySet().stream()
                        .filter(k -> Values.equal(k, key))
                        .findFirst()
                        .orElse(null)
                : null;
    }

    static Object slice(@Nullable Object object, @Nullable Object start, @Nullable Object stop, @Nullable Object step) {
        if (!(object instanceof List<?> || object instanceof String)) {
            throw Values.failOn(object, null, "a " + Values.typeName(object) + " cannot be sliced");
        }
        long stride = step == null ? 1 : Values.integer(step);
        if (stride == 0) {
            throw new JinjaException("slice step cannot be zero");
        }
        long length = Values.length(object);
        long first = stride > 0 ? 0 : length - 1;
        long last = stride > 0 ? length : -1;
        long from = start == null ? first : clamp(Values.integer(start), length, stride);
        long to = stop == null ? last : clamp(Values.integer(stop), length, stride);
        if (object instanceof String text && stride == 1) {
            return characters(text, from, Math.max(from, to));
        }
        List<?> items = object instanceof List<?> list ? list : Strings.characters((String) object);
        List<@Nullable Object> picked = new ArrayList<>();
        for (long i = from; stride > 0 ? i < to : i > to; i += stride) {
            picked.add(items.get((int) i));
        }
        if (object instanceof List<?>) {
            return picked;
        }
        StringBuilder text = new StringBuilder();
        picked.forEach(text::append);
        return text.toString();
    }

    private static long clamp(long index, long length, long stride) {
        long at = index < 0 ? index + length : index;
        return stride > 0 ? Math.clamp(at, 0, length) : Math.clamp(at, -1, length - 1);
    }

    private static String characters(String text, long from, long to) {
        int start = text.offsetByCodePoints(0, (int) from);
        return text.substring(start, text.offsetByCodePoints(start, (int) (to - from)));
    }
}
