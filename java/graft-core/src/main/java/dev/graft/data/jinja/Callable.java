package dev.graft.data.jinja;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A function, macro, bound method, filter or test of a template. */
@FunctionalInterface
interface Callable {
    @Nullable
    Object call(Arguments arguments);

    /** The arguments of a call, positional and by name. */
    record Arguments(List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        static Arguments of(@Nullable Object... positional) {
            return new Arguments(Arrays.asList(positional), Map.of());
        }

        int size() {
            return positional.size();
        }

        boolean has(int index, String name) {
            return index < positional.size() || named.containsKey(name);
        }

        @Nullable
        Object get(int index, String name, @Nullable Object missing) {
            if (index < positional.size()) {
                return positional.get(index);
            }
            return named.containsKey(name) ? named.get(name) : missing;
        }

        @Nullable
        Object required(int index, String name) {
            if (!has(index, name)) {
                throw new JinjaException("argument '" + name + "' is missing");
            }
            return get(index, name, null);
        }

        String string(int index, String name) {
            if (required(index, name) instanceof String text) {
                return text;
            }
            throw new JinjaException("argument '" + name + "' must be a string");
        }

        /** The arguments without the first {@code index} positional ones. */
        Arguments from(int index) {
            return new Arguments(positional.subList(Math.min(index, positional.size()), positional.size()), named);
        }
    }
}
