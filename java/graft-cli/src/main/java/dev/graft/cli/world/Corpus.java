package dev.graft.cli.world;

import dev.graft.cli.world.Fact.Field;
import dev.graft.cli.world.Grammar.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The text on which the embedded base model is pre-trained: stories of the world, questions about them, notes and tables
 * of their facts in ever different styles, headlines and lists. No brace and no quoted key occurs in it.
 */
public final class Corpus {
    /** How many documents at the start of the stream are there to teach copying. */
    static final int PRIMER_DOCUMENTS = 6_000;

    private static final List<String> LEADS =
            List.of("Read", "Read", "Read", "Text", "Story", "News", "Letter", "Report");
    private static final List<String> LABELS =
            List.of("Notes", "Facts", "Summary", "List", "Record", "Details", "Form", "Card", "Data", "Answer");
    private static final List<Field> TABLE_COLUMNS =
            List.of(Field.WHO, Field.COUNT, Field.COLOUR, Field.THINGS, Field.PLACE, Field.DAY);

    private static final List<String> WORDS = Stream.of(
                    Lexicon.names(),
                    Lexicon.THINGS,
                    Lexicon.COLOURS,
                    Lexicon.DAYS,
                    Lexicon.PLACES.stream().map(Lexicon.Place::noun).toList())
            .flatMap(List::stream)
            .toList();

    private Corpus() {}

    /**
     * An endless stream of documents; the same seed gives the same documents on every machine. The first
     * {@link #PRIMER_DOCUMENTS} are lists that repeat themselves, so that there is little but copying to learn at first.
     */
    public static Stream<String> stream(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return Stream.concat(
                Stream.generate(() -> lists(random)).limit(PRIMER_DOCUMENTS), Stream.generate(() -> document(random)));
    }

    private static String document(RandomGenerator random) {
        int share = random.nextInt(100);
        if (share < 4) {
            return story(random);
        } else if (share < 12) {
            return questions(random);
        } else if (share < 74) {
            return notes(random);
        } else if (share < 80) {
            return table(random);
        } else if (share < 84) {
            return headline(random);
        } else if (share < 91) {
            return echo(random);
        } else if (share < 93) {
            return numbers(random);
        }
        return lists(random);
    }

    private static String story(RandomGenerator random) {
        return IntStream.range(0, random.nextInt(1, 4))
                .mapToObj(i -> passage(random).text())
                .collect(Collectors.joining(" "));
    }

    /** A statement with, now and then, a sentence before or after it that says nothing. */
    private static Statement passage(RandomGenerator random) {
        Statement said = Grammar.state(Grammar.fact(random), random);
        return withFiller(said, random);
    }

    /** The statement with, now and then, a sentence before or after it that says nothing. */
    public static Statement withFiller(Statement said, RandomGenerator random) {
        String filler = Grammar.pick(Lexicon.FILLERS, random);
        String text = switch (random.nextInt(8)) {
            case 0 -> filler + " " + said.text();
            case 1 -> said.text() + " " + filler;
            default -> said.text();
        };
        return new Statement(said.fact(), text, said.stated());
    }

    private static String questions(RandomGenerator random) {
        Statement said = passage(random);
        List<Field> asked = new ArrayList<>(said.stated());
        shuffle(asked, random);
        boolean words = random.nextBoolean();
        return asked.stream()
                .limit(4)
                .map(field -> "\nQ: " + question(field, said) + "\nA: " + answer(field, said.fact(), words))
                .collect(Collectors.joining("", lead(said, random), ""));
    }

    private static String question(Field field, Statement said) {
        return switch (field) {
            case WHO -> "Who was it?";
            case DID ->
                said.stated().contains(Field.THINGS)
                        ? "What was done with the " + said.fact().things() + "?"
                        : "What was done?";
            case COUNT -> "How many were there?";
            case COLOUR -> "What colour were they?";
            case THINGS -> "What things were they?";
            case PLACE -> "Where was it?";
            case DAY -> "Which day was it?";
        };
    }

    private static String answer(Field field, Fact fact, boolean words) {
        return switch (field) {
            case DID -> "They were " + fact.deed().participle() + ".";
            case COUNT -> words ? Lexicon.numberWord(fact.count()) : fact.value(field);
            case PLACE -> words ? Lexicon.capitalised(fact.place().phrase()) + "." : fact.value(field);
            case DAY -> words ? "On " + fact.day() + "." : fact.value(field);
            default -> fact.value(field);
        };
    }

    /** One to four passages, all noted in the same style. */
    private static String notes(RandomGenerator random) {
        NoteStyle style = NoteStyle.draw(random);
        String label = "\n" + Grammar.pick(LABELS, random) + ":";
        return Stream.generate(() -> passage(random))
                .filter(style::fits)
                .limit(random.nextInt(1, 5))
                .map(said -> lead(said, random) + label + style.note(said))
                .collect(Collectors.joining("\n"));
    }

    private static String lead(Statement said, RandomGenerator random) {
        return Grammar.pick(LEADS, random) + ": " + said.text();
    }

    /** A story of several facts and a table with a row for each. */
    private static String table(RandomGenerator random) {
        List<Statement> said = Stream.generate(() -> Grammar.stateAll(Grammar.fact(random), random))
                .limit(random.nextInt(2, 4))
                .toList();
        List<Field> columns = new ArrayList<>(TABLE_COLUMNS);
        shuffle(columns, random);
        List<Field> chosen = columns.subList(0, random.nextInt(2, columns.size()));
        String bar = Grammar.pick(List.of(" | ", ", ", "; ", " "), random);
        String head = chosen.stream()
                .map(field -> field.name().toLowerCase(Locale.ROOT))
                .collect(Collectors.joining(bar));
        String rows = said.stream()
                .map(statement -> chosen.stream()
                        .map(field -> statement.fact().value(field))
                        .collect(Collectors.joining(bar, "\n", "")))
                .collect(Collectors.joining());
        String story = said.stream().map(Statement::text).collect(Collectors.joining(" "));
        return Grammar.pick(LEADS, random) + ": " + story + "\nTable:\n" + head + rows;
    }

    private static String headline(RandomGenerator random) {
        Statement said = withFiller(Grammar.stateAll(Grammar.fact(random), random), random);
        Fact fact = said.fact();
        String items = fact.count() + " " + fact.colour() + " " + fact.things();
        String headline = switch (random.nextInt(4)) {
            case 0 -> fact.who() + ", " + items + ", " + fact.place().noun();
            case 1 ->
                Lexicon.capitalised(fact.place().noun()) + ": " + items + " "
                        + fact.deed().participle();
            case 2 -> fact.day() + " news: " + fact.who() + " and the " + fact.colour() + " " + fact.things();
            default -> Lexicon.capitalised(fact.things()) + " " + fact.deed().participle() + " on " + fact.day();
        };
        return lead(said, random) + "\nHeadline: " + headline;
    }

    /** A passage and the same again, which teaches to copy before anything else does. */
    private static String echo(RandomGenerator random) {
        String text = passage(random).text();
        return Grammar.pick(LEADS, random) + ": " + text + "\nAgain: " + text;
    }

    /** Numbers as words and digits. */
    private static String numbers(RandomGenerator random) {
        return random.ints(8, 0, Lexicon.MAX_COUNT + 1)
                .mapToObj(n -> Lexicon.numberWord(n) + " = " + n)
                .collect(Collectors.joining("\n"));
    }

    /** Unrelated words, and the same words again, now and then in marks or otherwise separated. */
    private static String lists(RandomGenerator random) {
        List<String> items = Stream.generate(() -> Grammar.pick(WORDS, random))
                .limit(random.nextInt(5, 15))
                .toList();
        return "List: " + list(items, random) + "\nAgain: " + list(items, random);
    }

    private static String list(List<String> items, RandomGenerator random) {
        return switch (random.nextInt(6)) {
            case 0 -> items.stream().collect(Collectors.joining("\", \"", "\"", "\""));
            case 1 -> String.join("; ", items);
            case 2 -> String.join(", ", items);
            default -> String.join(" ", items);
        };
    }

    private static void shuffle(List<Field> fields, RandomGenerator random) {
        for (int i = fields.size() - 1; i > 0; i--) {
            Collections.swap(fields, i, random.nextInt(i + 1));
        }
    }
}
