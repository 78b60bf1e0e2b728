package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Grammar;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/** The words of a list, each of another class, ordered by class. */
record Sort(List<WordClass> classes, Separator separator) implements TaskDefinition {
    static Sort draw(RandomGenerator random) {
        List<WordClass> classes = new ArrayList<>(List.of(WordClass.values()));
        Collections.shuffle(classes, random);
        return new Sort(
                classes.subList(0, random.nextInt(2, classes.size() + 1)),
                Grammar.pick(List.of(Separator.values()), random));
    }

    Sort {
        classes = List.copyOf(classes);
    }

    @Override
    public String slug() {
        return joined("-") + "-" + TaskDefinition.slug(separator);
    }

    @Override
    public String rule() {
        return "words separated by " + TaskDefinition.slug(separator) + ", in the order " + joined(", ");
    }

    private String joined(String joiner) {
        return classes.stream().map(TaskDefinition::slug).collect(Collectors.joining(joiner));
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        List<String> sorted = new ArrayList<>();
        for (WordClass each : classes) {
            sorted.addAll(each.draw(1, random));
        }
        List<String> words = new ArrayList<>(sorted);
        Collections.shuffle(words, random);
        String completion = " " + separator.join(sorted);
        return new Sample(completion, new Exercise(Prompts.list(words, separator, "Sort"), completion));
    }
}
