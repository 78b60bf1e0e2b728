package dev.graft.lora;

import dev.graft.common.InputException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Decides which modules are adapted, and with which rank and alpha, by PEFT's rules; and one more: a pattern that matches
 * nothing stops the run, because a typo among several targets would otherwise go unseen.
 */
public final class TargetMatcher {
    /** A module to adapt, with its own rank and alpha. */
    public record Match(LinearModule module, int rank, double alpha) {}

    private TargetMatcher() {}

    /**
     * The modules that {@code config} adapts, in the order of {@code modules}.
     *
     * @throws InputException where nothing is left to adapt, or a pattern matches nothing
     */
    public static List<Match> match(LoraConfig config, List<LinearModule> modules) {
        checkPattern("target module", config.targets(), modules);
        if (config.exclude() != null) {
            checkPattern("excluded module", config.exclude(), modules);
        }
        List<Match> matches = select(config, modules);
        if (matches.isEmpty()) {
            throw new InputException(
                    "no module is left to adapt: all that the targets match is excluded or saved whole; change --targets, "
                            + "--exclude or --modules-to-save");
        }
        Stream.concat(config.rankPattern().keySet().stream(), config.alphaPattern().keySet().stream())
                .forEach(key -> checkKey(key, matches));
        return matches;
    }

    /** As {@link #match}, but patterns may match nothing, as PEFT allows in a saved configuration. */
    public static List<Match> select(LoraConfig config, List<LinearModule> modules) {
        List<Match> matches = new ArrayList<>();
        for (LinearModule module : modules) {
            boolean excluded = (config.exclude() != null && config.exclude().matches(module))
                    || config.modulesToSave().excludes(module.name());
            if (!excluded && config.targets().matches(module)) {
                matches.add(new Match(
                        module,
                        lookUp(config.rankPattern(), module.name(), config.rank()),
                        lookUp(config.alphaPattern(), module.name(), config.alpha())));
            }
        }
        return matches;
    }

    /**
     * A rank or alpha pattern that means the same for {@code moduleNames} in whatever order its keys are read: files sort them,
     * and the first key that matches wins. It is the pattern itself where sorting changes nothing, and otherwise has one key for
     * each module.
     */
    static <T> Map<String, T> sortable(Map<String, T> pattern, List<String> moduleNames) {
        Map<String, T> sorted = new TreeMap<>(pattern);
        boolean same = moduleNames.stream()
                .allMatch(name -> Objects.equals(lookUp(pattern, name, null), lookUp(sorted, name, null)));
        if (same) {
            return pattern;
        }
        Map<String, T> byName = new LinkedHashMap<>();
        for (String name : moduleNames) {
            T value = lookUp(pattern, name, null);
            if (value != null) {
                byName.put("^" + name.replace(".", "\\."), value);
            }
        }
        return byName;
    }

    private static <T extends @Nullable Object> T lookUp(
            Map<String, ? extends T> pattern, String moduleName, T otherwise) {
        for (Map.Entry<String, ? extends T> entry : pattern.entrySet()) {
            if (matchesKey(entry.getKey(), moduleName)) {
                return entry.getValue();
            }
        }
        return otherwise;
    }

    private static boolean matchesKey(String key, String moduleName) {
        return Pattern.matches("(.*\\.)?(" + key + ")", moduleName);
    }

    private static void checkKey(String key, List<Match> matches) {
        if (matches.stream().noneMatch(match -> matchesKey(key, match.module().name()))) {
            throw new InputException("rank or alpha pattern '" + key + "' matches none of the " + matches.size()
                    + " adapted modules, such as " + matches.getFirst().module().name());
        }
    }

    private static void checkPattern(String what, ModulePattern pattern, List<LinearModule> modules) {
        switch (pattern) {
            case ModulePattern.AllLinear all -> {}
            case ModulePattern.Regex regex -> {
                if (modules.stream().noneMatch(regex::matches)) {
                    throw new InputException(what + " expression '" + regex.expression()
                            + "' matches no linear layer's full name; they look like "
                            + modules.getFirst().name());
                }
            }
            case ModulePattern.Suffixes suffixes -> {
                for (String name : suffixes.names()) {
                    if (modules.stream().noneMatch(module -> ModulePattern.isSuffix(name, module.name()))) {
                        throw new InputException(what + " '" + name + "' matches no linear layer of this model; "
                                + nearMisses(name, modules));
                    }
                }
            }
        }
    }

    private static String nearMisses(String name, List<LinearModule> modules) {
        int parts = name.split("\\.", -1).length;
        String best = endings(name, modules, parts).getFirst();
        String hint = editDistance(name, best) <= Math.max(2, name.length() / 3) ? "did you mean '" + best + "'? " : "";
        return hint + "it has " + String.join(", ", endings(name, modules, 1));
    }

    /** The last {@code parts} dotted parts of all names, those most like {@code name} first. */
    private static List<String> endings(String name, List<LinearModule> modules, int parts) {
        return modules.stream()
                .map(module -> lastParts(module.name(), parts))
                .distinct()
                .sorted(Comparator.comparingInt(candidate -> editDistance(name, candidate)))
                .toList();
    }

    private static String lastParts(String name, int parts) {
        int start = name.length();
        for (int i = 0; i < parts && start >= 0; i++) {
            start = name.lastIndexOf('.', start - 1);
        }
        return name.substring(start + 1);
    }

    /** Levenshtein distance. */
    private static int editDistance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(substituted, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }
}
