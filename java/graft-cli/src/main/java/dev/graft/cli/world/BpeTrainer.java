package dev.graft.cli.world;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Learns a byte-level BPE vocabulary, as GPT-2 and Llama 3 use it: text is split into words (a word keeps the one space
 * before it, a digit stands alone), a word is a sequence of bytes, and again and again the most frequent pair of
 * neighbouring tokens becomes a new token. Every text can be encoded, for all 256 bytes are tokens.
 *
 * <p>Ties go to the pair with the lower ids, so the same sample gives the same vocabulary.
 *
 * @see <a href="https://arxiv.org/abs/1508.07909">Sennrich et al., Neural Machine Translation of Rare Words with
 *     Subword Units</a>
 */
public final class BpeTrainer {
    /** How text is split before BPE: contractions, words, single digits, punctuation, white space. */
    static final String SPLIT = "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    private static final Pattern WORD = Pattern.compile(SPLIT, Pattern.UNICODE_CHARACTER_CLASS);
    private static final int MIN_FREQUENCY = 2;

    private final List<String> tokens;
    private final List<Merge> merges = new ArrayList<>();
    private final List<Word> words;

    private BpeTrainer(List<String> tokens, List<Word> words) {
        this.tokens = tokens;
        this.words = words;
    }

    /** Two neighbouring tokens that became one, by their ids. */
    private record Pair(int left, int right) {}

    /** A distinct word of the sample: its tokens so far and how often it occurs. */
    private static final class Word {
        private int[] ids;
        private final long count;

        private Word(int[] ids, long count) {
            this.ids = ids;
            this.count = count;
        }

        /** Replaces the pair, left to right, wherever it stands. */
        private void replace(Pair pair, int merged) {
            int[] out = new int[ids.length];
            int length = 0;
            for (int i = 0; i < ids.length; i++) {
                boolean here = i + 1 < ids.length && ids[i] == pair.left() && ids[i + 1] == pair.right();
                out[length++] = here ? merged : ids[i];
                if (here) {
                    i++;
                }
            }
            if (length < ids.length) {
                ids = Arrays.copyOf(out, length);
            }
        }
    }

    /** Two tokens that merge into one, spelled in the byte alphabet of {@link ByteAlphabet}. */
    public record Merge(String left, String right) {}

    /**
     * A learned vocabulary.
     *
     * @param tokens the tokens by id: special tokens, the 256 bytes, then one for each merge
     * @param merges the merges, the most important first
     */
    public record Vocabulary(List<String> tokens, List<Merge> merges) {
        public Vocabulary {
            tokens = List.copyOf(tokens);
            merges = List.copyOf(merges);
        }
    }

    /**
     * Learns from sample texts.
     *
     * @param sample the texts; a bounded stream
     * @param specialTokens tokens that take the first ids and are never made or split by merges
     * @param size how many tokens to end with; fewer where the sample has too few pairs that occur twice
     * @throws IllegalArgumentException if size leaves no room for the special tokens and the 256 bytes
     */
    public static Vocabulary train(Stream<String> sample, List<String> specialTokens, int size) {
        int first = specialTokens.size();
        if (size < first + ByteAlphabet.SIZE) {
            throw new IllegalArgumentException("a byte-level vocabulary with " + first
                    + " special tokens needs at least " + (first + ByteAlphabet.SIZE) + " tokens, not " + size);
        }
        List<String> tokens = new ArrayList<>(specialTokens);
        tokens.addAll(ByteAlphabet.symbols());
        BpeTrainer trainer = new BpeTrainer(tokens, countWords(sample, first));
        while (tokens.size() < size && trainer.mergeMostFrequent()) {
            // each round adds a token
        }
        return new Vocabulary(tokens, trainer.merges);
    }

    private static List<Word> countWords(Stream<String> sample, int firstByte) {
        Map<String, Long> counts = new TreeMap<>();
        sample.forEach(
                text -> WORD.matcher(text).results().forEach(match -> counts.merge(match.group(), 1L, Long::sum)));
        List<Word> words = new ArrayList<>();
        counts.forEach((word, count) -> {
            int[] ids = ByteAlphabet.ranks(word);
            for (int i = 0; i < ids.length; i++) {
                ids[i] += firstByte;
            }
            words.add(new Word(ids, count));
        });
        return words;
    }

    private boolean mergeMostFrequent() {
        Map<Pair, Long> counts = new HashMap<>();
        for (Word word : words) {
            for (int i = 0; i + 1 < word.ids.length; i++) {
                counts.merge(new Pair(word.ids[i], word.ids[i + 1]), word.count, Long::sum);
            }
        }
        Comparator<Map.Entry<Pair, Long>> order = Map.Entry.<Pair, Long>comparingByValue()
                .reversed()
                .thenComparing(entry -> entry.getKey().left())
                .thenComparing(entry -> entry.getKey().right());
        Map.Entry<Pair, Long> best = counts.entrySet().stream().min(order).orElse(null);
        if (best == null || best.getValue() < MIN_FREQUENCY) {
            return false;
        }
        Pair pair = best.getKey();
        Merge merge = new Merge(tokens.get(pair.left()), tokens.get(pair.right()));
        int merged = tokens.size();
        tokens.add(merge.left() + merge.right());
        merges.add(merge);
        words.forEach(word -> word.replace(pair, merged));
        return true;
    }
}
