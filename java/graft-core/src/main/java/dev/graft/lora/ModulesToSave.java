package dev.graft.lora;

import dev.graft.common.InputException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Modules that are trained whole beside the low-rank parts and stored with the adapter: PEFT's {@code modules_to_save}. The base's
 * weights stay as they are; the adapter has copies of its own, which start with the base's values.
 *
 * <p>The rules are PEFT's. A name means every module whose full name ends in it, letter by letter: {@code norm} is also
 * {@code input_layernorm}, {@code model.norm} the last norm alone. LoRA leaves saved modules alone. Where the base's head is its
 * embedding, saving one of the two gives it a copy apart from the other, unless ties are kept.
 *
 * @param names ends of module names
 * @param keepTies whether weights that are one in the base stay one: PEFT's {@code ensure_weight_tying}
 */
public record ModulesToSave(List<String> names, boolean keepTies) {
    public static final ModulesToSave NONE = new ModulesToSave(List.of(), false);

    public ModulesToSave {
        names = List.copyOf(names);
        for (String name : names) {
            if (!name.matches("[\\w.]+")) {
                throw new InputException("modules to save: '" + name
                        + "' is no end of a module's name; give a comma list such as lm_head,embed_tokens,model.norm");
            }
        }
    }

    /** Reads a flag's value, a comma list. */
    public static ModulesToSave parse(String text, boolean keepTies) {
        return new ModulesToSave(List.of(text.strip().split("\\s*,\\s*")), keepTies);
    }

    public boolean isEmpty() {
        return names.isEmpty();
    }

    /** Whether LoRA leaves the module of this name alone: it is saved, or lies in a module that is. */
    boolean excludes(String module) {
        return names.stream().anyMatch(name -> ("." + module + ".").contains("." + name + "."));
    }

    /**
     * The weights to save among those of a model, in their order.
     *
     * @throws InputException where a module to save lies in another
     */
    public List<SavableWeight> select(List<SavableWeight> weights) {
        if (isEmpty()) {
            return List.of();
        }
        Set<String> selected = new HashSet<>();
        for (SavableWeight weight : weights) {
            if (!savedModules(weight.name()).isEmpty()) {
                selected.add(weight.name());
            }
        }
        if (keepTies) {
            for (SavableWeight weight : weights) {
                String original = weight.tiedTo();
                if (original != null && (selected.contains(weight.name()) || selected.contains(original))) {
                    selected.add(weight.name());
                    selected.add(original);
                }
            }
        }
        return weights.stream()
                .filter(weight -> selected.contains(weight.name()))
                .map(weight -> keepTies ? weight : weight.untied())
                .toList();
    }

    /** The module to save that a weight lies in, or none. */
    private List<String> savedModules(String weight) {
        List<String> saved = modulesOf(weight).stream()
                .filter(module -> names.stream().anyMatch(module::endsWith))
                .toList();
        if (saved.size() > 1) {
            throw new InputException("modules to save: " + saved.getLast() + " lies in " + saved.getFirst()
                    + ", which is saved too; name one of the two");
        }
        return saved;
    }

    /** All modules around a weight, the outermost first. A list of modules, as {@code model.layers}, is no module itself. */
    private static List<String> modulesOf(String weight) {
        List<String> modules = new ArrayList<>();
        for (int dot = weight.indexOf('.'); dot >= 0; dot = weight.indexOf('.', dot + 1)) {
            if (!Character.isDigit(weight.charAt(dot + 1))) {
                modules.add(weight.substring(0, dot));
            }
        }
        return modules;
    }

    /**
     * Stops where a name means nothing in a model of these weights, which PEFT lets pass in silence.
     *
     * @throws InputException naming it, and what there is
     */
    public void requireFound(List<SavableWeight> weights) {
        for (String name : names) {
            boolean found = weights.stream()
                    .flatMap(weight -> modulesOf(weight.name()).stream())
                    .anyMatch(module -> module.endsWith(name));
            if (!found) {
                throw new InputException("--modules-to-save '" + name + "' matches no module of this model; it has "
                        + String.join(", ", lastParts(weights)));
            }
        }
    }

    private static List<String> lastParts(List<SavableWeight> weights) {
        return weights.stream()
                .map(weight -> modulesOf(weight.name()).getLast())
                .map(module -> module.substring(module.lastIndexOf('.') + 1))
                .distinct()
                .toList();
    }
}
