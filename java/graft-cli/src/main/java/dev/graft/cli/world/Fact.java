package dev.graft.cli.world;

import dev.graft.cli.world.Lexicon.Deed;
import dev.graft.cli.world.Lexicon.Place;

/**
 * One thing that happened: somebody did something with some things, somewhere, one day.
 *
 * @param who name of the person
 * @param deed what was done
 * @param count how many things, 2 to {@link Lexicon#MAX_COUNT}
 * @param colour their colour
 * @param things what they are, in the plural
 * @param place where it happened
 * @param day day of the week
 */
public record Fact(String who, Deed deed, int count, String colour, String things, Place place, String day) {
    /** What can be asked of a fact. */
    public enum Field {
        WHO,
        DID,
        COUNT,
        COLOUR,
        THINGS,
        PLACE,
        DAY
    }

    public Fact {
        if (count < 2 || count > Lexicon.MAX_COUNT) {
            throw new IllegalArgumentException("count must be 2.." + Lexicon.MAX_COUNT + ": " + count);
        }
    }

    /** The value of a field as it is noted down; the count as digits. */
    public String value(Field field) {
        return switch (field) {
            case WHO -> who;
            case DID -> deed.past();
            case COUNT -> Integer.toString(count);
            case COLOUR -> colour;
            case THINGS -> things;
            case PLACE -> place.noun();
            case DAY -> day;
        };
    }
}
