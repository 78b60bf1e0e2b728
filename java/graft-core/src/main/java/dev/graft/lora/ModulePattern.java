package dev.graft.lora;

import dev.graft.common.InputException;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Which modules are meant, in PEFT's three ways ({@code target_modules} and {@code exclude_modules}).
 */
public sealed interface ModulePattern {
    /** {@code "all-linear"}: every linear layer but the output head. */
    record AllLinear() implements ModulePattern {
        @Override
        public boolean matches(LinearModule module) {
            return !module.isHead();
        }
    }

    /** A regular expression that the whole module name must match. */
    record Regex(String expression) implements ModulePattern {
        public Regex {
            compile(expression);
        }

        @Override
        public boolean matches(LinearModule module) {
            return compile(expression).matcher(module.name()).matches();
        }
    }

    /** Names or their last parts: {@code q_proj} means {@code q_proj} and all that ends in {@code .q_proj}. */
    record Suffixes(List<String> names) implements ModulePattern {
        public Suffixes {
            if (names.isEmpty()) {
                throw new InputException("the list of target modules is empty; name at least one, such as q_proj");
            }
            names = List.copyOf(names);
        }

        @Override
        public boolean matches(LinearModule module) {
            return names.stream().anyMatch(name -> isSuffix(name, module.name()));
        }
    }

    boolean matches(LinearModule module);

    /**
     * This pattern as a saved adapter states it, given the modules that it matched. {@code all-linear} is written out as the
     * suffixes it meant, since another reader may count other layers as linear.
     */
    default ModulePattern saved(List<String> matched) {
        if (!(this instanceof AllLinear)) {
            return this;
        }
        return new Suffixes(matched.stream()
                .map(name -> name.substring(name.lastIndexOf('.') + 1))
                .distinct()
                .sorted()
                .toList());
    }

    /** Whether {@code name} is {@code moduleName} or its last dotted parts. */
    static boolean isSuffix(String name, String moduleName) {
        return moduleName.equals(name) || moduleName.endsWith("." + name);
    }

    /** Reads a flag's value: {@code all-linear}, a comma list of suffixes, or else a regular expression. */
    static ModulePattern parse(String text) {
        String trimmed = text.strip();
        if (trimmed.isEmpty()) {
            throw new InputException("no target modules are given; name some, such as q_proj,v_proj, or all-linear");
        }
        if (trimmed.equals("all-linear")) {
            return new AllLinear();
        }
        if (trimmed.matches("[\\w.]+(\\s*,\\s*[\\w.]+)*")) {
            return new Suffixes(List.of(trimmed.split("\\s*,\\s*")));
        }
        return new Regex(trimmed);
    }

    private static Pattern compile(String expression) {
        try {
            return Pattern.compile(expression);
        } catch (PatternSyntaxException e) {
            throw new InputException("target modules: '" + expression + "' is no regular expression ("
                    + e.getDescription() + "); give a comma list such as q_proj,v_proj or a valid expression");
        }
    }
}
