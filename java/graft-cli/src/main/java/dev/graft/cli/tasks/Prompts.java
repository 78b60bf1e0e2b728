package dev.graft.cli.tasks;

import dev.graft.cli.world.Corpus;
import dev.graft.cli.world.Fact;
import dev.graft.cli.world.Fact.Field;
import dev.graft.cli.world.Grammar;
import dev.graft.cli.world.NoteEntry;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/** How exercises begin; of the form of the corpus, so that the base model knows where to look. */
final class Prompts {
    private Prompts() {}

    /** A sentence that states all of a fact, perhaps with one that says nothing, and the cue for an answer. */
    static String read(Fact fact, String cue, RandomGenerator random) {
        return read(Corpus.withFiller(Grammar.stateAll(fact, random), random).text(), cue);
    }

    /** A text and the cue for an answer. */
    static String read(String text, String cue) {
        return "Read: " + text + "\n" + cue + ":";
    }

    /** A list of words and the cue for an answer. */
    static String list(List<String> words, Separator separator, String cue) {
        return "List: " + separator.join(words) + "\n" + cue + ":";
    }

    /**
     * Two or more entries to ask for, but neither place nor deed: the base model does not find them well enough to be taught what to
     * do with them.
     */
    static List<NoteEntry> drawEntries(int most, RandomGenerator random) {
        List<NoteEntry> entries = NoteEntry.shuffled(random);
        entries.removeAll(List.of(NoteEntry.PLACE, NoteEntry.DID));
        return entries.subList(0, random.nextInt(2, most + 1));
    }

    /** All that is said of a fact, in a form that stays. */
    static String identity(Fact fact) {
        return Arrays.stream(Field.values()).map(fact::value).collect(Collectors.joining(" "));
    }
}
