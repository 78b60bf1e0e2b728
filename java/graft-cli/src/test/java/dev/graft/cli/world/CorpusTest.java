package dev.graft.cli.world;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class CorpusTest {
    private static final int DOCUMENTS = 10_000;

    @Test
    void sameSeedGivesSameDocuments() {
        assertThat(take(5, 500)).isEqualTo(take(5, 500));
        assertThat(take(5, 500)).isNotEqualTo(take(6, 500));
    }

    @Test
    void documentsHardlyEverRepeat() {
        assertThat(new HashSet<>(take(1, DOCUMENTS))).hasSizeGreaterThan(DOCUMENTS * 99 / 100);
    }

    @Test
    void jsonNeverOccurs() {
        assertThat(take(2, DOCUMENTS))
                .allSatisfy(document -> assertThat(document).doesNotContain("{", "}", "\":", "JSON"));
    }

    @Test
    void everySlotIsFilledAndNothingIsBlank() {
        assertThat(take(3, DOCUMENTS)).allSatisfy(document -> {
            assertThat(document).isNotBlank().isEqualTo(document.strip()).doesNotContain("$", "null");
        });
    }

    @Test
    void everyWordOfTheWorldOccurs() {
        Set<String> words = take(4, DOCUMENTS).stream()
                .flatMap(document -> Stream.of(document.split("[^A-Za-z]+")))
                .collect(Collectors.toSet());

        assertThat(words).containsAll(Lexicon.names());
        assertThat(words).containsAll(Lexicon.THINGS);
        assertThat(words).containsAll(Lexicon.COLOURS);
        assertThat(words).containsAll(Lexicon.DAYS);
        assertThat(words)
                .containsAll(Lexicon.PLACES.stream().map(Lexicon.Place::noun).toList());
    }

    private static List<String> take(long seed, int count) {
        return Corpus.stream(seed).limit(count).toList();
    }
}
