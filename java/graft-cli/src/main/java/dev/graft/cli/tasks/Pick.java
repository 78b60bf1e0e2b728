package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Grammar;
import java.util.List;
import java.util.random.RandomGenerator;

/** The words of one class among the others in a list, in their order. */
record Pick(WordClass picked, int most, int length, Separator separator) implements TaskDefinition {
    private static final int MOST_PICKED = 2;
    private static final int SHORTEST = 4;
    private static final int LONGEST = 6;

    static Pick draw(RandomGenerator random) {
        return new Pick(
                Grammar.pick(List.of(WordClass.values()), random),
                random.nextInt(1, MOST_PICKED + 1),
                random.nextInt(SHORTEST, LONGEST + 1),
                Grammar.pick(List.of(Separator.values()), random));
    }

    @Override
    public String slug() {
        return TaskDefinition.slug(picked) + "-" + most + "-of-" + length + "-" + TaskDefinition.slug(separator);
    }

    @Override
    public String rule() {
        return "of " + length + " words separated by " + TaskDefinition.slug(separator) + ", every "
                + TaskDefinition.slug(picked) + ", 1" + (most == 1 ? "" : " or " + most) + " of them";
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        List<String> wanted = picked.draw(1 + index % most, random);
        List<String> words = picked.mixed(wanted, length, random);
        List<String> inOrder = words.stream().filter(picked::contains).toList();
        return new Sample(
                String.join(" ", words),
                new Exercise(Prompts.list(words, separator, "Pick"), " " + separator.join(inOrder)));
    }
}
