package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Fact;
import dev.graft.cli.world.Grammar;
import dev.graft.cli.world.NoteEntry;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;

/**
 * A sentence in a few words, always put the same way.
 *
 * @param phrase the words, with slots for fields: {@code $who and the $things}
 * @param frame what stands around them, with a slot {@code %s}
 */
record Caption(String phrase, String frame) implements TaskDefinition {
    private static final List<String> PHRASES = List.of(
            "$who: $count $things",
            "$who and the $colour $things",
            "$count $things on $day",
            "$day, $who",
            "the $colour $things of $who",
            "$who's $things",
            "$count $colour $things",
            "$things for $who, $day");
    private static final List<String> FRAMES = List.of(
            "News: %s!", "%s?", "Remember %s.", "[ %s ]", "* %s *", "Dear diary, %s.", "%s, they say.", "Sold: %s.");
    private static final Pattern SLOT = Pattern.compile("\\$([a-z]+)");
    private static final Pattern NO_SLUG = Pattern.compile("[^a-z]+");

    static Caption draw(RandomGenerator random) {
        return new Caption(Grammar.pick(PHRASES, random), Grammar.pick(FRAMES, random));
    }

    @Override
    public String slug() {
        String words = NO_SLUG.matcher(pattern().toLowerCase(Locale.ROOT)).replaceAll("-");
        return words.replaceAll("^-|-$", "");
    }

    @Override
    public String rule() {
        return "a sentence in the words \"" + pattern() + "\"";
    }

    private String pattern() {
        return fill(entry -> "<" + TaskDefinition.slug(entry) + ">");
    }

    private String fill(Function<NoteEntry, String> value) {
        return frame.formatted(SLOT.matcher(phrase)
                .replaceAll(slot -> value.apply(NoteEntry.valueOf(slot.group(1).toUpperCase(Locale.ROOT)))));
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        Fact fact = Grammar.fact(random);
        String completion = " " + fill(entry -> entry.value(fact, false));
        return new Sample(completion, new Exercise(Prompts.read(fact, "Caption", random), completion));
    }
}
