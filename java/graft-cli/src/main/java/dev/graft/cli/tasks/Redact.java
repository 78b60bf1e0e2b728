package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Fact;
import dev.graft.cli.world.Grammar;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A sentence again, with a mark for every word of a class. */
record Redact(WordClass hidden, String mark) implements TaskDefinition {
    private static final List<String> MARKS =
            List.of("***", "___", "[...]", "XXX", "<hidden>", "???", "(secret)", "[x]");
    private static final Pattern WORD = Pattern.compile("[A-Za-z]+");

    static Redact draw(RandomGenerator random) {
        return new Redact(Grammar.pick(List.of(WordClass.values()), random), Grammar.pick(MARKS, random));
    }

    @Override
    public String slug() {
        return TaskDefinition.slug(hidden) + "-" + (MARKS.indexOf(mark) + 1);
    }

    @Override
    public String rule() {
        return "a sentence again, with " + mark + " for every " + TaskDefinition.slug(hidden);
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        Fact fact = Grammar.fact(random);
        String text = Grammar.stateAll(fact, random).text();
        String redacted = redact(text);
        String identity = redact(Prompts.identity(fact));
        return new Sample(identity, new Exercise(Prompts.read(text, "Again"), " " + redacted));
    }

    private String redact(String text) {
        return WORD.matcher(text)
                .replaceAll(word -> Matcher.quoteReplacement(hidden.contains(word.group()) ? mark : word.group()));
    }
}
