package dev.graft.cli.world;

import java.util.List;
import java.util.stream.Stream;

/** The words of the world. Lists are immutable and their order is part of every seeded stream: append, never reorder. */
public final class Lexicon {
    /** Names of people who are "she". */
    static final List<String> WOMEN = words("""
            Mary Anna Ella Nora Lena Mira Sara Clara Rosa Lily Emma Alma Ada Ida Eva Ruth Jane Kate Lucy Alice
            Marina Carina Selina Melina Elena Irena Tamara Barbara Samira Amira Elmira Ramona Simona Verona Leona Fiona
            Diana Liana Oriana Ariana Mariana Juliana Viviana Susanna Johanna Rosanna Hanna Joanna Deanna Savanna
            Lara Mara Kara Dora Flora Cora Thora Isadora Pandora Leonora Eleanor Linda Belinda Melinda Lucinda Matilda
            Hilda Tilda Gerda Freda Wanda Amanda Miranda Yolanda Rolanda Selma Thelma Velma Wilma Emily Sally Molly
            Polly Holly Milly Tilly Elly Nelly Kelly Shelly Beth Judith Edith Meredith Agnes Frances Doris Iris Phyllis
            Janet Margaret Harriet Violet Scarlet Juliet Odette Colette Annette Jeanette Bernadette Denise Louise Elise
            Marlene Charlene Helene Irene Celine Pauline Caroline Adeline Madeline Jasmine Christine Ernestine
            """);

    /** Names of people who are "he". */
    static final List<String> MEN = words("""
            Tom Ben Sam Max Leo Paul Carl Hans Otto Hugo Erik Nils Lars Jonas Lukas Tobias Elias Matthias Thomas Nicolas
            Martin Marvin Kelvin Melvin Calvin Alvin Edwin Erwin Darwin Robin Justin Austin Dustin Quentin Valentin
            Adrian Julian Fabian Damian Florian Kilian Maximilian Sebastian Christian Dorian Norman Herman Roman Truman
            Robert Albert Gilbert Hubert Herbert Norbert Wilbert Rupert Richard Leonard Bernard Gerard Edward Howard
            Arnold Harold Gerald Donald Ronald Reginald Roland Ferdinand Raymond Edmund Sigmund Osmund Alfred Manfred
            Wilfred Winfred Conrad David Arthur Walter Peter Dieter Gunter Oliver Alexander Xander Leander Victor Hector
            Nestor Viktor Igor Gregor Trevor Taylor Nelson Wilson Anderson Emerson Jefferson Simon Damon Ramon Solomon
            Philip Jacob Caleb Joseph Rudolf Ralph Randolph Henry Harry Larry Barry Jerry Terry Perry Andy Randy
            """);

    /** Small things that can be counted, coloured and carried, always in the plural. */
    public static final List<String> THINGS = words("""
            apples pears plums lemons melons onions carrots potatoes tomatoes pumpkins books letters papers pictures
            cards maps stamps coins rings buttons ribbons candles lamps lanterns baskets boxes bags bottles cups plates
            bowls spoons forks knives pots pans hats coats scarves gloves boots shoes socks shirts kites balls drums
            flutes bells dolls puppets chairs stools tables ladders ropes nets hooks hammers nails bricks stones shells
            feathers flowers roses tulips seeds eggs cakes loaves pies cookies blankets pillows curtains carpets
            umbrellas clocks mirrors brushes pencils wheels
            """);

    public static final List<String> COLOURS =
            words("red blue green yellow white black brown pink grey purple orange golden silver");

    public static final List<String> DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday");

    /** Places, each with the preposition it takes. */
    public static final List<Place> PLACES =
            words("""
                    at:market at:school at:station at:harbour at:library at:museum at:theatre at:hospital at:airport
                    at:bakery at:farm at:mill at:castle at:church at:office at:fair at:beach at:lake at:well at:gate
                    in:garden in:kitchen in:cellar in:attic in:forest in:park in:village in:valley in:barn in:tower
                    in:hotel in:cave in:meadow in:orchard in:workshop in:stable in:street in:tavern in:tent in:hall
                    by:river by:road by:fountain by:pond by:canal by:railway by:wall by:hedge
                    on:bridge on:hill on:island on:roof on:balcony on:platform on:square on:train on:boat on:ferry
                    """).stream().map(Place::parse).toList();

    /** Deeds in the past tense, each with its participle where that differs. */
    public static final List<Deed> DEEDS = words("""
                    bought sold found lost carried painted counted saw:seen hid:hidden drew:drawn dropped cleaned washed
                    wrapped borrowed packed moved kept made brought collected gave_away:given_away chose:chosen
                    took:taken repaired sorted ordered delivered stole:stolen threw_away:thrown_away
                    """).stream().map(Deed::parse).toList();

    /** Sentences that state no fact worth noting. */
    static final List<String> FILLERS = List.of(
            "It was a quiet day.",
            "The sun was warm.",
            "It rained a little.",
            "The wind was cold.",
            "Nobody was in a hurry.",
            "The birds were singing.",
            "A dog barked in the distance.",
            "Everyone was pleased.",
            "It had been a long week.",
            "The air smelled of bread.",
            "Later there was music.",
            "Snow lay on the ground.",
            "The evening was calm.",
            "There was a lot to do.");

    private static final List<String> NUMBERS = words("""
            zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
            seventeen eighteen nineteen twenty
            """);

    /** Largest count in the world, and largest number with a word. */
    public static final int MAX_COUNT = 20;

    private Lexicon() {}

    /** A place and its preposition: "by" + "river". */
    public record Place(String preposition, String noun) {
        private static Place parse(String text) {
            String[] parts = text.split(":");
            return new Place(parts[0], parts[1]);
        }

        /** "by the river". */
        String phrase() {
            return preposition + " the " + noun;
        }
    }

    /** What somebody did: "took", and the participle of it, "taken". */
    public record Deed(String past, String participle) {
        private static Deed parse(String text) {
            String[] forms = text.replace('_', ' ').split(":");
            return new Deed(forms[0], forms[forms.length - 1]);
        }
    }

    /** The English word for a number from 0 to {@link #MAX_COUNT}. */
    public static String numberWord(int number) {
        return NUMBERS.get(number);
    }

    static String capitalised(String text) {
        return Character.toUpperCase(text.charAt(0)) + text.substring(1);
    }

    public static boolean isWoman(String name) {
        return WOMEN.contains(name);
    }

    /** Everybody, women first. */
    public static List<String> names() {
        return Stream.concat(WOMEN.stream(), MEN.stream()).toList();
    }

    private static List<String> words(String text) {
        return List.of(text.strip().split("\\s+"));
    }
}
