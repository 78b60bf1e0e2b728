package dev.graft.cli.world;

import dev.graft.cli.world.Fact.Field;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Says facts in English. A template is a sentence (or two) with slots: {@code $who}, {@code $did}, {@code $done},
 * {@code $items} (count, colour and things), {@code $things}, {@code $at}, {@code $day}, {@code $pron}, and the
 * distractors {@code $other} (another person), {@code $elsewhere} and {@code $otherday}. A slot with a capital is
 * capitalised.
 */
public final class Grammar {
    private static final Pattern SLOT = Pattern.compile("\\$(\\w+)");

    private static final List<Template> TEMPLATES =
            """
            $who $did $items $at on $day.
            On $day, $who $did $items $at.
            On $day $who $did $items $at.
            $At, $who $did $items on $day.
            $At on $day, $who $did $items.
            It was $day when $who $did $items $at.
            It was $who who $did $items $at on $day.
            Last $day $who was $at and $did $items.
            Last $day, $items were $done by $who $at.
            $Items were $done by $who $at on $day.
            $Items were $done $at on $day by $who.
            On $day, $items were $done $at by $who.
            There were $items $at on $day, and $who $did them.
            $who was $at on $day. $Pron $did $items there.
            $who went out on $day. $At $pron $did $items.
            $day was a fine day for $who: $pron $did $items $at.
            $day came, and $who $did $items $at.
            On $day, $who stayed $at until noon and $did $items.
            Everyone $at saw how $who $did $items on $day.
            We heard that $who $did $items $at on $day.
            "I $did $items $at on $day," said $who.
            $who said: "On $day I $did $items $at."
            $who told $other that $pron had $done $items $at on $day.
            $other stayed at home on $day, but $who $did $items $at.
            $other was ill, so $who $did $items $at on $day.
            While $other slept, $who $did $items $at on $day.
            $who $did $items $at on $day, and $other watched.
            $who $did $items $at on $day because $other asked for them.
            For $other, $who $did $items $at on $day.
            On $otherday $who rested, but on $day $pron $did $items $at.
            $who waited until $day, not $otherday, and $did $items $at.
            $who did not stay $elsewhere on $day: $pron $did $items $at.
            $who left the others $elsewhere and $did $items $at on $day.
            Do you know $who? $Pron $did $items $at on $day.
            Nobody knows why $who $did $items $at on $day.
            Of all people it was $who who on $day $did $items $at.
            The $things, $count $colour ones, were $done by $who $at on $day.
            $who $did some $colour $things $at on $day. There were $count of them.
            $who $did $count $things $at on $day, all of them $colour.
            $who $did $items.
            $who $did $items on $day.
            $who $did $items $at.
            On $day, $who was $at.
            $Items were $done by $who.
            $who $did $count $things $at.
            $who $did the $colour $things on $day.
            There were $items $at.
            """.lines().map(Template::new).toList();

    private static final List<Template> COMPLETE =
            TEMPLATES.stream().filter(Template::isComplete).toList();

    private static final List<String> NAMES = Lexicon.names();

    private Grammar() {}

    /**
     * A fact put into words.
     *
     * @param text one or two sentences
     * @param stated the fields that can be read from the text
     */
    public record Statement(Fact fact, String text, Set<Field> stated) {}

    private record Template(String pattern, Set<Field> stated) {
        Template(String pattern) {
            this(pattern, statedBy(pattern));
        }

        boolean isComplete() {
            return stated.size() == Field.values().length;
        }

        private static Set<Field> statedBy(String pattern) {
            Set<Field> stated = EnumSet.noneOf(Field.class);
            SLOT.matcher(pattern).results().map(slot -> slot.group(1)).forEach(slot -> {
                switch (slot.toLowerCase(Locale.ROOT)) {
                    case "who" -> stated.add(Field.WHO);
                    case "did", "done" -> stated.add(Field.DID);
                    case "items" -> stated.addAll(EnumSet.of(Field.COUNT, Field.COLOUR, Field.THINGS));
                    case "count" -> stated.add(Field.COUNT);
                    case "colour" -> stated.add(Field.COLOUR);
                    case "things" -> stated.add(Field.THINGS);
                    case "at" -> stated.add(Field.PLACE);
                    case "day" -> stated.add(Field.DAY);
                    default -> {}
                }
            });
            return stated;
        }
    }

    /** Anything that can happen in the world. */
    public static Fact fact(RandomGenerator random) {
        return new Fact(
                pick(NAMES, random),
                pick(Lexicon.DEEDS, random),
                random.nextInt(2, Lexicon.MAX_COUNT + 1),
                pick(Lexicon.COLOURS, random),
                pick(Lexicon.THINGS, random),
                pick(Lexicon.PLACES, random),
                pick(Lexicon.DAYS, random));
    }

    /** Says a fact, or a part of it, in one of all ways. */
    static Statement state(Fact fact, RandomGenerator random) {
        return state(fact, pick(TEMPLATES, random), random);
    }

    /** Says a fact in one of the ways that state every field. */
    public static Statement stateAll(Fact fact, RandomGenerator random) {
        return state(fact, pick(COMPLETE, random), random);
    }

    /** Number of ways to state all of a fact. */
    static int completeTemplates() {
        return COMPLETE.size();
    }

    public static <T> T pick(List<T> choices, RandomGenerator random) {
        return choices.get(random.nextInt(choices.size()));
    }

    private static Statement state(Fact fact, Template template, RandomGenerator random) {
        // numbers are mostly words, as in stories
        boolean digits = random.nextInt(4) == 0;
        String count = digits ? Integer.toString(fact.count()) : Lexicon.numberWord(fact.count());
        String text = SLOT.matcher(template.pattern()).replaceAll(slot -> fill(slot, fact, count, random));
        return new Statement(fact, text, template.stated());
    }

    private static String fill(MatchResult slot, Fact fact, String count, RandomGenerator random) {
        String name = slot.group(1);
        boolean capital = Character.isUpperCase(name.charAt(0));
        String words = switch (Character.toLowerCase(name.charAt(0)) + name.substring(1)) {
            case "who" -> fact.who();
            case "did" -> fact.deed().past();
            case "done" -> fact.deed().participle();
            case "items" -> count + " " + fact.colour() + " " + fact.things();
            case "count" -> count;
            case "colour" -> fact.colour();
            case "things" -> fact.things();
            case "at" -> fact.place().phrase();
            case "day" -> fact.day();
            case "pron" -> Lexicon.isWoman(fact.who()) ? "she" : "he";
            case "other" -> pickOther(NAMES, fact.who(), random);
            case "elsewhere" -> pickOther(Lexicon.PLACES, fact.place(), random).phrase();
            case "otherday" -> pickOther(Lexicon.DAYS, fact.day(), random);
            default -> throw new IllegalStateException("unknown slot $" + name);
        };
        return capital ? Lexicon.capitalised(words) : words;
    }

    private static <T> T pickOther(List<T> choices, T taken, RandomGenerator random) {
        T choice = pick(choices, random);
        while (choice.equals(taken)) {
            choice = pick(choices, random);
        }
        return choice;
    }
}
