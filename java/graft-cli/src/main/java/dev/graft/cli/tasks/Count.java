package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Grammar;
import dev.graft.cli.world.Lexicon;
import java.util.List;
import java.util.random.RandomGenerator;

/** How many words of a list are of a class. */
record Count(WordClass counted, int most, boolean inWords, Separator separator) implements TaskDefinition {
    private static final int FEWEST_MOST = 2;
    private static final int MOST_MOST = 4;
    private static final int LENGTH = 6;

    static Count draw(RandomGenerator random) {
        return new Count(
                Grammar.pick(List.of(WordClass.values()), random),
                random.nextInt(FEWEST_MOST, MOST_MOST + 1),
                random.nextBoolean(),
                Grammar.pick(List.of(Separator.values()), random));
    }

    @Override
    public String slug() {
        return TaskDefinition.slug(counted) + "-to-" + most + (inWords ? "-in-words" : "") + "-"
                + TaskDefinition.slug(separator);
    }

    @Override
    public String rule() {
        return "how many of " + LENGTH + " words separated by " + TaskDefinition.slug(separator) + " are a "
                + TaskDefinition.slug(counted) + ", 0 to " + most + " in " + (inWords ? "words" : "digits");
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        int count = index % (most + 1);
        List<String> words = counted.mixed(counted.draw(count, random), LENGTH, random);
        String answer = inWords ? Lexicon.numberWord(count) : Integer.toString(count);
        return new Sample(String.join(" ", words), new Exercise(Prompts.list(words, separator, "Count"), " " + answer));
    }
}
