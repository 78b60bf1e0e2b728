package dev.graft.cli.world;

import dev.graft.cli.world.Grammar.Statement;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/**
 * One way of noting facts down: which fields in which order, under which names, with which punctuation. Styles are put
 * together at random from independent parts, thousands of them, so that a model cannot learn each by heart and has to
 * learn what they share: find the value in the sentence and copy it to where it belongs. Braces and quoted keys are in
 * none of them; those are left for the quickstart to teach.
 *
 * @param keys the name of each field that is noted, in the order in which they are noted
 * @param wordCounts whether counts are written as words
 * @param open before everything
 * @param lead before each entry
 * @param bare whether values stand without their keys
 * @param keyMarks what stands before and after a key
 * @param separator between key and value
 * @param valueMarks what stands before and after a value that is not a number
 * @param joiner between entries
 * @param close after everything
 */
record NoteStyle(
        Map<NoteEntry, String> keys,
        boolean wordCounts,
        String open,
        String lead,
        boolean bare,
        Marks keyMarks,
        String separator,
        Marks valueMarks,
        String joiner,
        String close) {

    /** What stands before and after a word. */
    record Marks(String before, String after) {
        private static final Marks NONE = new Marks("", "");

        private String around(String text) {
            return before + text + after;
        }
    }

    private static final List<Marks> KEY_MARKS = List.of(
            Marks.NONE,
            Marks.NONE,
            Marks.NONE,
            new Marks("[", "]"),
            new Marks("<", ">"),
            new Marks("*", "*"),
            new Marks("'", "'"),
            new Marks("(", ")"),
            new Marks("@", ""),
            new Marks("#", ""));
    private static final List<String> SEPARATORS = List.of(": ", ": ", ":", " = ", "=", " - ", " -> ", " is ", " ");
    private static final List<Marks> VALUE_MARKS = List.of(
            Marks.NONE,
            Marks.NONE,
            Marks.NONE,
            Marks.NONE,
            new Marks("\"", "\""),
            new Marks("\"", "\""),
            new Marks("\"", "\""),
            new Marks("'", "'"),
            new Marks("(", ")"),
            new Marks("[", "]"));
    private static final List<String> JOINERS = List.of(", ", ", ", ", ", "; ", " | ", " / ", ",", "\n", "\n", " and ");
    private static final List<Marks> WRAPPERS =
            List.of(Marks.NONE, Marks.NONE, Marks.NONE, new Marks("(", ")"), new Marks("[", "]"), new Marks("<", ">"));

    /** Draws a style. */
    static NoteStyle draw(RandomGenerator random) {
        List<NoteEntry> order = drawOrder(random);
        Map<NoteEntry, String> keys = new LinkedHashMap<>();
        boolean capital = random.nextInt(3) == 0;
        order.forEach(entry -> keys.put(entry, entry.drawName(capital, random)));
        String joiner = Grammar.pick(JOINERS, random);
        boolean lines = joiner.equals("\n");
        Marks wrapper = lines ? new Marks("\n", "") : Grammar.pick(WRAPPERS, random);
        String lead = lines && random.nextBoolean() ? "- " : "";
        return new NoteStyle(
                Collections.unmodifiableMap(keys),
                random.nextInt(4) == 0,
                wrapper.before().equals("\n") ? "\n" : " " + wrapper.before(),
                lead,
                random.nextInt(6) == 0,
                Grammar.pick(KEY_MARKS, random),
                Grammar.pick(SEPARATORS, random),
                Grammar.pick(VALUE_MARKS, random),
                joiner,
                wrapper.after());
    }

    private static List<NoteEntry> drawOrder(RandomGenerator random) {
        List<NoteEntry> all = NoteEntry.shuffled(random);
        return all.subList(0, random.nextInt(2, all.size() + 1));
    }

    /** Whether there is anything in a statement that this style notes. */
    boolean fits(Statement statement) {
        return keys.keySet().stream().anyMatch(entry -> entry.isStated(statement));
    }

    /** Notes what a statement says; entries that it does not state are left out. Begins with a space or a new line. */
    String note(Statement statement) {
        return keys.keySet().stream()
                .filter(entry -> entry.isStated(statement))
                .map(entry -> lead + entry(entry, statement.fact()))
                .collect(Collectors.joining(joiner, open, close));
    }

    private String entry(NoteEntry entry, Fact fact) {
        String value = entry.value(fact, wordCounts);
        String marked = entry == NoteEntry.COUNT && !wordCounts ? value : valueMarks.around(value);
        return bare ? marked : keyMarks.around(keys.get(entry)) + separator + marked;
    }
}
