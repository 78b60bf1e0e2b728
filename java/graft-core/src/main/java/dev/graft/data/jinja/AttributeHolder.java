package dev.graft.data.jinja;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An object of the template language with attributes of its own. */
interface AttributeHolder {
    /** The attribute, or an {@link Undefined}. */
    @Nullable
    Object attribute(String name);

    /** What {@code namespace(a=1)} makes: the only object whose attributes a template may set. */
    final class Namespace implements AttributeHolder {
        private final Map<String, @Nullable Object> attributes = new HashMap<>();

        @Override
        public @Nullable Object attribute(String name) {
            return attributes.containsKey(name) ? attributes.get(name) : new Undefined(name);
        }

        void set(String name, @Nullable Object value) {
            attributes.put(name, value);
        }
    }

    /** The variable {@code loop} inside a {@code for} over {@code items}, standing at {@code index}; loops are never recursive. */
    record Loop(List<@Nullable Object> items, int index) implements AttributeHolder {
        @Override
        public @Nullable Object attribute(String name) {
            int last = items.size() - 1;
            return switch (name) {
                case "index" -> index + 1L;
                case "index0" -> (long) index;
                case "revindex" -> last - index + 1L;
                case "revindex0" -> (long) last - index;
                case "first" -> index == 0;
                case "last" -> index == last;
                case "length" -> (long) items.size();
                case "depth" -> 1L;
                case "depth0" -> 0L;
                case "previtem" -> index == 0 ? new Undefined(name) : items.get(index - 1);
                case "nextitem" -> index == last ? new Undefined(name) : items.get(index + 1);
                case "cycle" ->
                    (Callable) arguments -> {
                        if (arguments.size() == 0) {
                            throw new JinjaException("loop.cycle needs at least one value");
                        }
                        return arguments.positional().get(index % arguments.size());
                    };
                default -> new Undefined(name);
            };
        }
    }
}
