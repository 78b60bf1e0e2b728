package dev.graft.cli.world;

import dev.graft.cli.world.Fact.Field;
import dev.graft.cli.world.Grammar.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;

/** What can be noted of a fact: a field, or colour and things together. */
public enum NoteEntry {
    WHO("who", "name", "person", "Who", "Name", "Person"),
    DID("did", "deed", "action", "Did", "Deed", "Action"),
    COUNT("count", "number", "how many", "Count", "Number", "How many"),
    COLOUR("colour", "shade", "Colour", "Shade"),
    THINGS("things", "what", "item", "object", "Things", "What", "Item", "Object"),
    ITEMS("things", "what", "items", "object", "Things", "What", "Items", "Object"),
    PLACE("place", "where", "spot", "Place", "Where", "Spot"),
    DAY("day", "when", "date", "Day", "When", "Date");

    private final List<String> names;

    NoteEntry(String... names) {
        this.names = List.of(names);
    }

    /** Entries that do not overlap, in a random order: either {@link #ITEMS} or {@link #COLOUR} and {@link #THINGS}. */
    public static List<NoteEntry> shuffled(RandomGenerator random) {
        boolean together = random.nextBoolean();
        List<NoteEntry> all = new ArrayList<>(List.of(values()));
        all.removeAll(together ? List.of(COLOUR, THINGS) : List.of(ITEMS));
        Collections.shuffle(all, random);
        return all;
    }

    /** One of the names that this entry goes by. */
    public String drawName(boolean capital, RandomGenerator random) {
        String name = Grammar.pick(names, random);
        while (Character.isUpperCase(name.charAt(0)) != capital) {
            name = Grammar.pick(names, random);
        }
        return name;
    }

    /** The value of this entry. */
    public String value(Fact fact, boolean wordCounts) {
        return switch (this) {
            case WHO -> fact.value(Field.WHO);
            case DID -> fact.value(Field.DID);
            case COUNT -> wordCounts ? Lexicon.numberWord(fact.count()) : fact.value(Field.COUNT);
            case COLOUR -> fact.value(Field.COLOUR);
            case THINGS -> fact.value(Field.THINGS);
            case ITEMS -> fact.colour() + " " + fact.things();
            case PLACE -> fact.value(Field.PLACE);
            case DAY -> fact.value(Field.DAY);
        };
    }

    /** Whether a statement states it. */
    boolean isStated(Statement statement) {
        return this == ITEMS
                ? statement.stated().contains(Field.COLOUR)
                        && statement.stated().contains(Field.THINGS)
                : statement.stated().contains(Field.valueOf(name()));
    }
}
