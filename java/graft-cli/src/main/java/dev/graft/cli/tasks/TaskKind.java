package dev.graft.cli.tasks;

import dev.graft.common.InputException;
import java.util.Arrays;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/** A kind of task, of which each seed gives one. */
public enum TaskKind {
    EXTRACT("some fields of a sentence, in an order and under names, as JSON, XML, CSV or pairs", Extract::draw),
    CODE("a sentence as a command of a small language", Code::draw),
    CAPTION("a sentence in a few words, always put the same way", Caption::draw),
    RELABEL("the class of a sentence, named by words that mean nothing", Relabel::draw),
    PICK("the words of one class in a list", Pick::draw),
    SORT("the words of a list in an order of their classes", Sort::draw),
    REORDER("the words of a list in another order, by their places", Reorder::draw),
    COUNT("how many words of a list are of a class", Count::draw);

    private final String description;
    private final Function<RandomGenerator, TaskDefinition> definitions;

    TaskKind(String description, Function<RandomGenerator, TaskDefinition> definitions) {
        this.description = description;
        this.definitions = definitions;
    }

    /**
     * The kind of a name.
     *
     * @throws InputException where there is none
     */
    public static TaskKind of(String name) {
        return Arrays.stream(values())
                .filter(kind -> kind.label().equals(name))
                .findFirst()
                .orElseThrow(() -> new InputException("there is no kind of task \"" + name + "\"; choose from "
                        + Arrays.stream(values()).map(TaskKind::label).collect(Collectors.joining(", "))));
    }

    /** The name by which users know it: "extract". */
    public String label() {
        return TaskDefinition.slug(this);
    }

    /** What is asked in such tasks. */
    public String description() {
        return description;
    }

    TaskDefinition define(RandomGenerator random) {
        return definitions.apply(random);
    }
}
