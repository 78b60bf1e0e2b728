package dev.graft.cli.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.graft.cli.world.Fact.Field;
import dev.graft.cli.world.Grammar.Statement;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class GrammarTest {
    private final SplittableRandom random = new SplittableRandom(11);

    @Test
    void statedFieldsCanBeReadFromTheText() {
        for (int i = 0; i < 2_000; i++) {
            Statement said = Grammar.state(Grammar.fact(random), random);
            for (Field field : said.stated()) {
                assertThat(said.text().toLowerCase(Locale.ROOT))
                        .as("%s of %s", field, said)
                        .containsAnyOf(spellings(field, said.fact()));
            }
        }
    }

    @Test
    void completeStatementsStateEverything() {
        for (int i = 0; i < 500; i++) {
            assertThat(Grammar.stateAll(Grammar.fact(random), random).stated()).containsExactly(Field.values());
        }
    }

    @Test
    void thereAreDozensOfWaysToStateAllOfAFact() {
        Fact fact = Grammar.fact(random);
        HashSet<String> shapes = new HashSet<>();
        for (int i = 0; i < 5_000; i++) {
            shapes.add(Grammar.stateAll(fact, random).text());
        }
        assertThat(Grammar.completeTemplates()).isGreaterThanOrEqualTo(36);
        assertThat(shapes).hasSizeGreaterThan(Grammar.completeTemplates());
    }

    @Test
    void pronounsFollowThePerson() {
        for (int i = 0; i < 2_000; i++) {
            Statement said = Grammar.state(Grammar.fact(random), random);
            String wrong = Lexicon.isWoman(said.fact().who()) ? "he" : "she";
            assertThat(said.text().toLowerCase(Locale.ROOT)).doesNotContainPattern("\\b" + wrong + "\\b");
        }
    }

    @Test
    void wordsAreDistinctAndPlenty() {
        for (List<String> words : List.of(Lexicon.names(), Lexicon.THINGS, Lexicon.COLOURS, Lexicon.DAYS)) {
            assertThat(words).doesNotHaveDuplicates();
        }
        assertThat(Lexicon.PLACES).doesNotHaveDuplicates();
        assertThat(Lexicon.names()).hasSizeGreaterThan(200);
        assertThat(Lexicon.numberWord(0)).isEqualTo("zero");
        assertThat(Lexicon.numberWord(Lexicon.MAX_COUNT)).isEqualTo("twenty");
    }

    @Test
    void countsOutsideTheWorldAreRefused() {
        Fact fact = Grammar.fact(random);
        for (int count : new int[] {-1, 0, 1, 21}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> new Fact(
                            fact.who(), fact.deed(), count, fact.colour(), fact.things(), fact.place(), fact.day()))
                    .withMessageContaining(Integer.toString(count));
        }
    }

    private static String[] spellings(Field field, Fact fact) {
        return (switch (field) {
                    case DID -> Stream.of(fact.deed().past(), fact.deed().participle());
                    case COUNT -> Stream.of(Lexicon.numberWord(fact.count()), fact.value(field));
                    default -> Stream.of(fact.value(field));
                })
                .map(word -> word.toLowerCase(Locale.ROOT))
                .toArray(String[]::new);
    }
}
