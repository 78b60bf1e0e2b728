package dev.graft.cli.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import dev.graft.cli.world.BpeTrainer.Merge;
import dev.graft.cli.world.BpeTrainer.Vocabulary;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorldTokenizerTest {
    private static final Vocabulary VOCABULARY = WorldTokenizer.train(1);
    private static HuggingFaceTokenizer tokenizer;

    @BeforeAll
    static void load(@TempDir Path folder) throws Exception {
        WorldTokenizer.write(VOCABULARY, folder);
        tokenizer = HuggingFaceTokenizer.builder()
                .optTokenizerPath(folder)
                .optAddSpecialTokens(false)
                .optTruncation(false)
                .build();
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    @Test
    void vocabularyHasTheSizeAskedForAndNoTwins() {
        assertThat(VOCABULARY.tokens()).hasSize(WorldTokenizer.VOCABULARY_SIZE).doesNotHaveDuplicates();
        assertThat(VOCABULARY.tokens()).startsWith("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>");
        assertThat(WorldTokenizer.train(1)).isEqualTo(VOCABULARY);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "Mary bought three red apples.",
                "  two  spaces\n\n\ttab \r\n",
                "{\"who\": \"Mary\", \"count\": 12}",
                "héllo wörld, ñandú, Œuvre",
                "日本語 и кириллица עברית",
                "🙂👩‍👩‍👧 \u0000\u001f\u00a0\u00ad\u2028",
                "it's we'll THEY'RE x_y 3.14 1234567890",
            })
    void anyTextSurvivesARoundTrip(String text) {
        assertThat(tokenizer.decode(tokenizer.encode(text).getIds())).isEqualTo(text);
    }

    @Test
    void corpusSurvivesARoundTripInFewTokens() {
        List<String> documents = Corpus.stream(9).limit(500).toList();
        long characters = 0;
        long tokens = 0;
        for (String document : documents) {
            long[] ids = tokenizer.encode(document).getIds();
            assertThat(tokenizer.decode(ids)).isEqualTo(document);
            characters += document.length();
            tokens += ids.length;
        }
        assertThat((double) characters / tokens).isGreaterThan(2.5);
    }

    @Test
    void everyDigitStandsAlone() {
        assertThat(tokenizer.encode("20 1999").getTokens()).containsExactly("2", "0", "Ġ", "1", "9", "9", "9");
    }

    @Test
    void specialTokensAreOneTokenEach() {
        assertThat(tokenizer
                        .encode("<|im_start|>user\n<|im_end|><|endoftext|><|pad|>")
                        .getIds())
                .startsWith(1)
                .endsWith(2, 0, 3);
    }

    @Test
    void completionsAreShort() {
        Stream.concat(QuickstartTask.train().stream(), QuickstartTask.heldOut().stream())
                .forEach(example -> assertThat(
                                tokenizer.encode(example.completion()).getIds())
                        .as(example.completion())
                        .hasSizeLessThanOrEqualTo(44));
    }

    @Test
    void mergesTheMostFrequentPairFirst() {
        Vocabulary learned = BpeTrainer.train(Stream.of("abab abab", "ab xyz"), List.of("<s>"), 260);

        // ab stands 5 times; then abab twice, with and without a space; the rarer pairs come after
        assertThat(learned.merges().getFirst()).isEqualTo(new Merge("a", "b"));
        assertThat(learned.tokens())
                .startsWith("<s>", "!")
                .contains("ab", "abab")
                .hasSize(259);
    }

    @Test
    void stopsWhereNoPairOccursTwice() {
        assertThat(BpeTrainer.train(Stream.of("xyz"), List.of(), 300).merges()).isEmpty();
        assertThat(BpeTrainer.train(Stream.empty(), List.of(), 300).tokens()).hasSize(256);
    }

    @Test
    void refusesAVocabularyWithoutRoomForAllBytes() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BpeTrainer.train(Stream.of("a"), List.of("<s>"), 256))
                .withMessageContaining("at least 257");
    }

    @Test
    void byteAlphabetIsGpt2s() {
        assertThat(ByteAlphabet.symbols()).hasSize(256).doesNotHaveDuplicates().startsWith("!", "\"");
        List<String> spelled = Arrays.stream(ByteAlphabet.ranks(" \né"))
                .mapToObj(ByteAlphabet.symbols()::get)
                .toList();
        assertThat(spelled).containsExactly("Ġ", "Ċ", "Ã", "©");
    }
}
